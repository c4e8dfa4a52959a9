"""What a jam's votes decide: pure functions from the tallies to the next round's params."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.ui.i18n import tr
from cogs.image_buttons.action_params import params_for
from db.together.ballots import Suggestion, first_by_lot, winner
from generation.job import Action
from generation.models.model import Model
from generation.params import MAX_SEED, Params, Tile
from generation.planning import actions

TILE, MOVE, WORDS = "tile", "move", "words"  # what one votes about; stored with the ballots
AGAIN, AS_THEY_ARE = "again", "as_they_are"
FINISH = Action.UPSCALE_SUBTLE
MOVES: dict[Action, str] = {
    Action.VARY_SUBTLE: "Vary a little",
    Action.VARY_STRONG: "Vary strongly",
    Action.ZOOM_2: "Zoom out",
    Action.PAN_LEFT: "Further to the left",
    Action.PAN_RIGHT: "Further to the right",
    Action.PAN_UP: "Further up",
    Action.PAN_DOWN: "Further down",
    FINISH: "Upscale and finish",
}
_REWORDED = {Action.VARY_SUBTLE: Action.REMIX_SUBTLE, Action.VARY_STRONG: Action.REMIX_STRONG}
MIN_VOTERS = 2

Tallies = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a round's votes decided. A `tile` of None means that the round is drawn again."""

    tile: int | None
    action: Action
    votes: int
    words: str = ""
    worded_by: int | None = None


def move_label(action: Action) -> str:
    """Return the name of a move, as people vote for it."""
    return tr(MOVES[action])


def possible_moves(params: Params, model: Model | None) -> list[Action]:
    """Return what may happen to a picture, in the order in which it is offered."""
    available = actions.available_actions(params, model) if model else frozenset()
    return [action for action in MOVES if action in available]


def decide(
    session_id: str, number: int, tallies: Tallies, suggestions: Sequence[Suggestion], moves: Sequence[Action]
) -> Decision:
    """Return the decision of a round. What nobody voted about gets the gentlest answer."""
    tiles = tallies.get(TILE, {})
    tile = winner(session_id, number, tiles) or first_by_lot(session_id, number, "0123")
    move = winner(session_id, number, tallies.get(MOVE, {}))
    action = Action(move) if move is not None and move in moves else next(iter(moves), Action.REROLL)
    chosen = winner(session_id, number, tallies.get(WORDS, {}))
    suggestion = next((each for each in suggestions if str(each.person_id) == chosen), None)
    again = tile == AGAIN
    return Decision(
        tile=None if again else int(tile),
        action=Action.REROLL if again else action,
        votes=tiles.get(tile, 0),
        words=suggestion.words if suggestion else "",
        worded_by=suggestion.person_id if suggestion else None,
    )


def reworded(params: Params, words: str) -> Params:
    """Return `params` with words added to the first part of the prompt; they are text, not parameters."""
    if not words:
        return params
    first, *others = params.parts
    text = f"{first.text}, {words}" if first.text else words
    edited = (*first.edited, f", {words}") if first.edited else ()
    return replace(params, parts=(replace(first, text=text, edited=edited), *others))


def next_params(parent: Params, tile: Tile, action: Action, words: str, model: Model, seed: int) -> Params:
    """Return the params of the next round; raise UserError if the model cannot do it with this picture."""
    if action is Action.PICK:
        return actions.pick(parent, tile)
    return params_for(action, reworded(parent, words), tile, model, seed)


def job_action(action: Action, words: str) -> Action:
    """Return the action of the next round's job: a variation with new words is a remix."""
    return _REWORDED.get(action, action) if words else action


def seed_for(session_id: str, number: int, attempt: int = 0) -> int:
    """Return the seed of a round: always the same, so that a repeated step draws the same pictures."""
    digest = hashlib.blake2b(f"seed\0{session_id}\0{number}\0{attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (MAX_SEED - 3)
