"""How many people, and where: clusters on the sphere of attractors."""
import torch
import torch.nn.functional as F

MOST = 4  # people in one mixture


def spherical_kmeans(points, weight, K, starts=4, steps=20, seed=0):
    """Directions [K, D] of clusters of unit points [P, D] with weight [P], which is nearest to each point [P], and its mean cosine.

    Source: [SKMEANS], the best of `starts` seeded k-means++ starts, made at once.  Differs: louder bins weigh more, as in [SATTS] eq. (2).
    """
    rng = torch.Generator().manual_seed(seed)
    centres = points[torch.multinomial(weight, starts, replacement=True, generator=rng)][:, None]  # [starts, 1, D]
    for _ in range(K - 1):
        far = weight * (1 - (centres @ points.T).amax(1)).clamp_min(1e-9)
        centres = torch.cat([centres, points[torch.multinomial(far, 1, generator=rng)]], 1)
    for _ in range(steps):
        pulled = (F.one_hot((centres @ points.T).argmax(1), K).transpose(1, 2) * weight) @ points  # [starts, K, D]
        centres = torch.where(pulled.norm(dim=2, keepdim=True) > 1e-8, F.normalize(pulled, dim=2), centres)  # an empty one stays
    cosine, nearest = (centres @ points.T).max(1)
    best = (cosine * weight).sum(1).argmax()
    return centres[best], nearest[best], float((cosine[best] * weight).sum() / weight.sum())


def people(points, weight, counting, speakers=None):
    """Directions [K, D] of `speakers` people, or of as many as unit points [P, D] with weight [P] show.

    How many is read off four numbers, the mean cosine of the points to the nearest of 1, 2, 3 and 4 directions, by logistic regression:
    counting, 4 rows of 4 factors and a bias, learned from training speakers.  Raises ValueError unless speakers is 1 to 4 or None."""
    if speakers is not None and speakers not in range(1, MOST + 1):
        raise ValueError(f"{speakers!r} speakers: choose 1 to {MOST}, or None to let the network count.")
    if speakers:
        return spherical_kmeans(points, weight, speakers)[0]
    found = [spherical_kmeans(points, weight, K) for K in range(1, MOST + 1)]
    scores = torch.tensor(counting) @ torch.tensor([*(mean for *_, mean in found), 1.0])
    return found[int(scores.argmax())][0]
