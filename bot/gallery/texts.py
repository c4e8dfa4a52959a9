"""The texts of the pages and the language of a visitor: the browser's, or else the one that Discord knows."""

from __future__ import annotations

from bot.ui.i18n import CATALOGUES, ENGLISH, audience_locale, tr


def language_of(accepted: str, at_discord: str = "") -> str:
    """Return the language to answer in: the first of `Accept-Language` with texts, or else the person's at Discord."""
    known = {ENGLISH, *CATALOGUES}
    wanted = [*_by_preference(accepted), _base(at_discord)]
    return next((language for language in wanted if language in known), ENGLISH)


def current_language() -> str:
    """Return the language of this request."""
    return audience_locale(private=True)


def _by_preference(accepted: str) -> list[str]:
    ranges = [_range(each) for each in accepted[:500].split(",")]
    return [language for quality, language in sorted(ranges, key=lambda each: -each[0]) if quality > 0]


def _range(text: str) -> tuple[float, str]:
    language, _, quality = text.partition(";q=")
    try:
        return float(quality or 1), _base(language)
    except ValueError:
        return 0.0, ""


def _base(language: str) -> str:
    return language.strip().partition("-")[0].casefold()


def page_texts() -> dict[str, str]:
    """Return the texts of the pages in this request's language, by the names that the scripts use."""
    return _frame_texts() | _picture_texts() | _own_texts() | _session_texts()


def _frame_texts() -> dict[str, str]:
    """Return the texts around the pages, of the lists, and of the search by a picture."""
    return {
        "gallery": tr("Gallery"),
        "the_gallery": tr("The gallery"),
        "skip": tr("Skip to the pictures"),
        "pages": tr("Pages"),
        "title_newest": tr("Newest"),
        "title_together": tr("Together"),
        "title_find": tr("Find"),
        "title_picture": tr("Picture"),
        "welcome": tr("See the pictures of your servers: of each channel that you may view in Discord, and your own."),
        "what_discord_tells": tr("Discord tells the gallery your name, your language and your servers, nothing else."),
        "log_in": tr("Log in with Discord"),
        "log_out": tr("Log out"),
        "only_here": tr("Only for this computer: pictures that every member of a server may see."),
        "no_answer": tr("The gallery does not answer."),
        "not_connected": tr("The bot is not connected to Discord at the moment. Try again soon."),
        "no_servers": tr("None of your servers has a gallery here."),
        "server": tr("Server"),
        "search": tr("Search"),
        "search_words": tr("Search pictures by words"),
        "found_for": tr("Pictures found for {words}"),
        "newest_of": tr("Newest pictures of {server}"),
        "no_words": tr("No picture that you may see has these words."),
        "no_pictures": tr("There are no pictures here yet."),
        "pictures_shown": tr("Pictures shown: {n}"),
        "more": tr("Show more"),
        "find_login": tr("Log in to find pictures."),
        "which_picture": tr("Which picture is this?"),
        "drop": tr("Drop a picture here"),
        "drop_more": tr("or choose or paste one: a copy, a screenshot, a part, mirrored or cropped."),
        "choose_picture": tr("Choose a picture"),
        "searching": tr("Searching…"),
        "none_alike": tr("No picture that you may see looks like this one."),
        "this_is_it": tr("This is it:"),
        "alike": tr("These look like it:"),
        "it_is": tr("this is it"),
    }


def _picture_texts() -> dict[str, str]:
    return {
        "prompt": tr("Prompt"),
        "no_prompt": tr("(made from pictures alone)"),
        "copy": tr("Copy"),
        "copy_seed": tr("Copy with seed"),
        "copied": tr("Copied"),
        "copy_by_hand": tr("Select the text and copy it"),
        "by": tr("by {name}"),
        "number_of": tr("picture {n} of {all}"),
        "siblings": tr("Pictures of this result"),
        "open": tr("Open in Discord"),
        "full_size": tr("Full size"),
        "download": tr("Download"),
        "favourite": tr("Favourite"),
        "made_from": tr("Made from"),
        "made_from_it": tr("Made from this one"),
        "like_this": tr("Like this"),
        "private": tr("private"),
        "uncover": tr("Sensitive: show"),
        "family_tree": tr("Family tree"),
        "title_tree": tr("Family tree"),
        "not_shown": tr("Not shown to you"),
        "hidden_family": tr("Pictures of this family that are not shown to you: {n}"),
    }


def _own_texts() -> dict[str, str]:
    return {
        "nav_mine": tr("Mine"),
        "title_mine": tr("My pictures"),
        "mine_title": tr("My pictures"),
        "mine_login": tr("Your own pictures need a login, which this gallery has only with a public address."),
        "which_mine": tr("Which of my pictures"),
        "kind_history": tr("History"),
        "kind_favourites": tr("Favourites"),
        "kind_private": tr("Private"),
        "search_mine": tr("Search my pictures"),
        "words": tr("Words of the prompt"),
        "zip": tr("Download as zip"),
        "select": tr("Select: {what}"),
        "selected": tr("Selected: {n}"),
        "selected_pictures": tr("Selected pictures"),
        "select_some": tr("Select pictures to download or delete them"),
        "delete": tr("Delete"),
        "keep": tr("Keep them"),
        "delete_one": tr("Delete this result?"),
        "delete_many": tr("Delete {n} results?"),
        "delete_means": tr(
            "All pictures of a result are permanently deleted, and its message in Discord. Pictures made from it stay."
        ),
        "deleted": tr("Results deleted: {n}"),
    }


def _session_texts() -> dict[str, str]:
    return {
        "which_together": tr("What people made together"),
        "title_canvas": tr("Canvas"),
        "title_contest": tr("Contest"),
        "title_jam": tr("Jam"),
        "title_telephone": tr("Picture telephone"),
        "tab_canvas": tr("Canvases"),
        "tab_contest": tr("Contests"),
        "tab_jam": tr("Jams"),
        "tab_telephone": tr("Telephones"),
        "tab_families": tr("Families"),
        "nothing_yet": tr("There is nothing here yet that you may see."),
        "no_families": tr("No picture has been carried on here yet."),
        "earlier": tr("Earlier ones"),
        "entries_shown": tr("Shown: {n}"),
        "going": tr("goes on"),
        "voters": tr("voters: {n}"),
        "all_pictures": tr("All its pictures"),
        "by_robot": tr("by the bot"),
        "who_painted": tr("Who painted what"),
        "as_picture": tr("As a picture, with its parameters"),
        "whole_canvas": tr("The whole canvas"),
        "zoom": tr("Zoom"),
        "zoom_in": tr("Zoom in"),
        "zoom_out": tr("Zoom out"),
    }
