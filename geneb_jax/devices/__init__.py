"""The devices of a job: meshes, processes, what they can do."""
