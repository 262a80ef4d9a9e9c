"""Columns of covariates as features: numbers on one scale, categories as indicators, by what train rows hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter

from spline_lstm.data.scaling import constant

MOST_CATEGORIES = 50  # the most frequent ones; all others count as unknown
FEWEST_OF_A_CURVE = 8  # distinct numbers, from which on a response may be bent
BENDS = (0.25, 0.5, 0.75)  # quantiles of train rows at which it may


@dataclass(frozen=True)
class Column:
    """One covariate as read.

    Attributes:
        values: Numbers, or the codes of categories; NaN where a cell is empty.
        categories: What the codes stand for, in order; empty for numbers.
    """

    values: np.ndarray
    categories: tuple[str, ...] = ()

    def at(self, places: np.ndarray) -> Column:
        """Some of the entries, chosen as from an array."""
        return Column(self.values[places], self.categories)


@dataclass(frozen=True)
class Encoder:
    """How a column becomes features. Fitted on train rows once, then a plain value.

    Attributes:
        categories: Those that have an indicator; None for numbers.
        mean: Of numbers.
        std: Of numbers, positive.
        bends: Standardized numbers from which on one more feature grows, so that a response can be bent.
        varies: Whether train rows tell anything of it; else it becomes no feature, which nothing was learned of.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    categories: tuple[str, ...] | None = None
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0
    bends: tuple[float, ...] = ()
    varies: bool = True

    @classmethod
    def fit(cls, train: Column, bent: bool = False) -> Encoder:
        """Args: a column of train rows only; whether the response to a number may be bent."""
        known = train.values[~np.isnan(train.values)]
        if train.categories:
            counts = np.bincount(known.astype(int), minlength=len(train.categories))
            frequent = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
            categories = tuple(train.categories[code] for code in sorted(frequent[counts[frequent] > 0]))
            return cls(categories, varies=len(categories) > 1)
        if not known.size or constant(known):
            return cls(varies=False)
        mean, std = float(np.mean(known)), float(np.std(known))
        curved = bent and len(np.unique(known)) >= FEWEST_OF_A_CURVE
        bends = np.unique(np.quantile((known - mean) / std, BENDS)) if curved else ()
        return cls(mean=mean, std=std, bends=tuple(map(float, bends)))

    @classmethod
    def restore(cls, content: Mapping[str, Any]) -> Encoder:
        """The inverse of `content`.

        Raises:
            ValueError: It is of another kind.
        """
        return TypeAdapter(cls).validate_python(content)

    def content(self) -> dict[str, Any]:
        """Plain builtins."""
        categories = None if self.categories is None else list(self.categories)
        return {**asdict(self), "categories": categories, "bends": list(self.bends)}

    def names(self, column: str) -> list[str]:
        """Of the features."""
        if not self.varies:
            return []
        if self.categories is not None:
            return [f"{column}={category}" for category in self.categories]
        return [column, *(f"{column} over {bend * self.std + self.mean:.4g}" for bend in self.bends)]

    def encode(self, column: Column) -> np.ndarray:
        """Features `(n, features)`, NaN where a cell is empty; an unknown category has no indicator."""
        if not self.varies:
            return np.empty((len(column.values), 0))
        missing = np.isnan(column.values)
        if self.categories is not None:
            place = {category: index for index, category in enumerate(self.categories)}
            places = np.array([place.get(category, -1) for category in (*column.categories, "")])
            codes = places[np.where(missing, -1, column.values).astype(int)]
            features = (codes[:, None] == np.arange(len(self.categories))).astype(float)
        else:
            numbers = (column.values - self.mean) / self.std
            features = np.column_stack([numbers, *(np.maximum(numbers - bend, 0) for bend in self.bends)])
        features[missing] = np.nan
        return features

    def unknown(self, column: Column) -> list[str]:
        """Categories of a column that have no indicator, in order."""
        known = self.categories or ()
        return [category for category in column.categories if category not in known]
