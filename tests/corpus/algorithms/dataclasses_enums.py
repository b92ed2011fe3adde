"""Dataclasses, enums, ordering, matching."""
import enum
from dataclasses import asdict, dataclass, field, replace


class Suit(enum.Enum):
    CLUBS = "c"
    HEARTS = "h"

    @property
    def red(self):
        return self is Suit.HEARTS


class Access(enum.IntFlag):
    READ = enum.auto()
    WRITE = enum.auto()
    ALL = READ | WRITE


@dataclass(frozen=True, order=True)
class Card:
    rank: int
    suit: Suit = field(compare=False)


@dataclass
class Hand:
    cards: list[Card] = field(default_factory=list)
    total: int = field(init=False, default=0)

    def __post_init__(self):
        self.total = sum(card.rank for card in self.cards)


def describe(thing):
    match thing:
        case Card(rank=1):
            return "ace"
        case Card(rank=rank, suit=Suit.HEARTS) if rank > 10:
            return "high heart"
        case [first, *rest]:
            return f"list of {1 + len(rest)} from {describe(first)}"
        case {"kind": str(kind), **others}:
            return f"{kind} with {sorted(others)}"
        case _:
            return "other"


hand = Hand([Card(5, Suit.CLUBS), Card(1, Suit.HEARTS), Card(12, Suit.HEARTS)])
print(hand.total, min(hand.cards), max(hand.cards))
print([describe(card) for card in hand.cards], describe(hand.cards), describe({"kind": "box", "b": 1, "a": 2}))
print(asdict(replace(hand.cards[0], rank=6)), Suit("h").red, Access.READ in Access.ALL, Access(3) == Access.ALL)
try:
    hand.cards[0].rank = 3
except AttributeError as error:
    print(type(error).__name__, error)
