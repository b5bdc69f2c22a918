#!/usr/bin/env bash
# GENEB on a TPU VM pod: installs this clone on every worker, then starts one process on each.
#
#   TPU=my-pod ZONE=us-west4-a BUCKET=gs://my-bucket docs/scripts/tpu_pod.sh
#
# The TPU's service account must be allowed to write into the bucket. A pod that was pre-empted:
# make it again and run this again. Embeddings are in the bucket, scores on worker 0: copy its
# ~/runs/full from time to time, and back, so that probes need not be fitted again.
set -euo pipefail
: "${TPU:?the name of the TPU VM}" "${ZONE:?its zone}" "${BUCKET:?gs:// address for embeddings}"

cd "$(dirname "$0")/../.."
archive=$(mktemp)
git archive --format=tar.gz --output="$archive" HEAD
gcloud compute tpus tpu-vm scp "$archive" "$TPU:geneb_jax.tar.gz" --zone="$ZONE" --worker=all

on_all_workers() {
  gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$1"
}

# Python 3.11 or later must be there as python3.
on_all_workers "
  mkdir -p geneb_jax && tar -xzf geneb_jax.tar.gz -C geneb_jax &&
  python3 -m venv venv && venv/bin/pip install --quiet './geneb_jax[tpu,gcs]'"

# All models and all tasks, from the hub; name fewer with --config.models to begin with.
on_all_workers "
  venv/bin/geneb-jax run --config=full --workdir=runs/full \
    --config.processes=auto \
    --config.embeddings_dir=$BUCKET/geneb"
