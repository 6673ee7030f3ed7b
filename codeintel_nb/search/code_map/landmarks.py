"""Landmarks of the map and the positions of chunks, as files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ...files import replace
from ...index.shard.shard import Shard

OUTGROWN = 4  # growth factor of the chunks since the last layout that triggers a new one
LANDMARKS_FILE = "landmarks.npz"
Floats = npt.NDArray[np.float32]


class Landmarks(NamedTuple):
    """Normalized vectors (m, dim) and their places (m, 2)."""

    vectors: Floats
    places: Floats
    chunks: int  # of all shards at the time of the layout
    embedder: str

    @property
    def id(self) -> str:
        return hashlib.sha256(self.places.tobytes()).hexdigest()[:12]

    def serves(self, shards: Sequence[Shard]) -> bool:
        """Whether the shards' chunks can be placed among these landmarks."""
        chunks = sum(shard.manifest.chunks for shard in shards)
        return self.embedder == shards[0].manifest.embedder and chunks <= OUTGROWN * self.chunks


def points_file(folder: Path, shard: Shard, landmarks: Landmarks) -> Path:
    return folder / f"{shard.id}-{landmarks.id}.bin"


def read_points(folder: Path, shard: Shard, landmarks: Landmarks) -> Floats | None:
    try:
        points: Floats = np.frombuffer(
            points_file(folder, shard, landmarks).read_bytes(), "<f4"
        ).reshape(-1, 2)
    except (OSError, ValueError):
        return None  # missing or truncated
    return points if len(points) == shard.manifest.chunks else None


def write_landmarks(path: Path, landmarks: Landmarks) -> None:
    buffer = io.BytesIO()
    embedder = np.frombuffer(landmarks.embedder.encode(), np.uint8)
    np.savez(
        buffer,
        vectors=landmarks.vectors,
        places=landmarks.places,
        chunks=np.int64(landmarks.chunks),
        embedder=embedder,
    )
    replace(path, buffer.getvalue())


def read_landmarks(path: Path) -> Landmarks | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return Landmarks(
                arrays["vectors"],
                arrays["places"],
                int(arrays["chunks"]),
                arrays["embedder"].tobytes().decode(),
            )
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return None  # missing or damaged
