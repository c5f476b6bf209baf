"""The one format of sound in this house: rate, frames, level."""


RATE, N_FFT, HOP, N_MELS = 16000, 1024, 256, 80  # Hz, samples, samples, bins: one frame is 16 ms
LEVEL_DB = -25.0  # every clip is brought to this speech level (dB below full scale) before any model hears it
