"""How many people, and where: clusters on the sphere of attractors."""
import torch
import torch.nn.functional as F

MOST = 4  # people in one mixture


def spherical_kmeans(points, weight, K, starts=4, steps=20, seed=0):
    """K directions of clusters of unit points [P, D] with weight [P].

    Returns (centres [K, D], which of them is nearest to each point [P], mean cosine of points and nearest).
    Source: [SKMEANS], the best of `starts` seeded k-means++ starts, made at once.
    Differs: louder bins weigh more, as in [SATTS] eq. (2)."""
    centres = first_centres(points, weight, K, starts, torch.Generator().manual_seed(seed))
    for _ in range(steps):
        nearest = (centres @ points.T).argmax(1)  # [starts, P]
        members = F.one_hot(nearest, K).transpose(1, 2) * weight  # [starts, K, P]
        pulled = members @ points  # [starts, K, D]
        empty = pulled.norm(dim=2, keepdim=True) <= 1e-8  # stays where it is
        centres = torch.where(empty, centres, F.normalize(pulled, dim=2))
    cosine, nearest = (centres @ points.T).max(1)
    score = (cosine * weight).sum(1)
    best = score.argmax()
    return centres[best], nearest[best], float(score[best] / weight.sum())


def first_centres(points, weight, K, starts, rng):
    """Centres [starts, K, D] to begin with: points, drawn the likelier the farther they are apart."""
    first = torch.multinomial(weight, starts, replacement=True, generator=rng)
    centres = points[first][:, None]  # [starts, 1, D]
    for _ in range(K - 1):
        nearest = (centres @ points.T).amax(1)  # [starts, P], a cosine
        far = weight * (1 - nearest).clamp_min(1e-9)
        following = torch.multinomial(far, 1, generator=rng)
        centres = torch.cat([centres, points[following]], 1)
    return centres


def people(points, weight, counting, speakers=None):
    """Directions [K, D] of `speakers` people, or of as many as unit points [P, D] with weight [P] show.

    How many is read off four numbers, the mean cosine of the points to the nearest of 1, 2, 3 and 4
    directions, by logistic regression: counting, 4 rows of 4 factors and a bias, learned.
    Raises ValueError unless speakers is 1 to 4 or None."""
    if speakers is not None and speakers not in range(1, MOST + 1):
        raise ValueError(f"{speakers!r} speakers: choose 1 to {MOST}, or None to let the network count.")
    if speakers:
        centres, _, _ = spherical_kmeans(points, weight, speakers)
        return centres
    centres, cosines = [], []
    for K in range(1, MOST + 1):
        directions, _, cosine = spherical_kmeans(points, weight, K)
        centres.append(directions)
        cosines.append(cosine)
    scores = torch.tensor(counting) @ torch.tensor([*cosines, 1.0])
    return centres[int(scores.argmax())]
