from model_ports.layers.convolutions import fast_fft_length


def test_fast_fft_lengths_are_the_next_even_ones_without_large_primes():
    def rest(n):
        for prime in (2, 3, 5):
            while n % prime == 0:
                n //= prime
        return n

    for least in (1, 2, 13, 15, 16, 17, 1999, 10_005):
        expected = next(n for n in range(least, 2 * least + 2) if n % 2 == 0 and rest(n) == 1)
        assert fast_fft_length(least) == expected
    assert fast_fft_length(1_999_999) == 2_000_000
