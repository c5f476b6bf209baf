"""The one format of sound in this house: rate, frames, level."""


RATE = 16000  # Hz
N_FFT = 1024  # samples: 64 ms, two periods of the lowest voice and more
HOP = 256  # samples: one frame is 16 ms
N_MELS = 80  # bands
LEVEL_DB = -25.0  # every clip is brought to this speech level (dB below full scale) before any model hears it
