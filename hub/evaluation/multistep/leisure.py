"""What the service does for free time: music, podcasts, recipes and meals, groceries and a gym.

Each part is named and described as another author would: the ids of its operations, its parameters and its records follow
habits of their own.
"""

from __future__ import annotations

from typing import Any

from .office import schema
from .operations import (
    Arguments,
    Fault,
    Operation,
    State,
    add,
    amount,
    choice,
    day,
    find,
    flag,
    listed,
    matching,
    record,
    records,
    text,
    whole,
)

_TRACK = {"id": "integer", "title": "string", "artist": "string", "genre": "string", "year": "integer", "seconds": "integer"}
_SHOW = {"id": "integer", "name": "string", "host": "string", "topic": "string"}
_EPISODE = {"id": "integer", "show": "integer", "title": "string", "published": "string", "minutes": "integer"}
_SUBSCRIPTION = {"show": "integer", "notify": "boolean"}
_DISH = {"id": "integer", "name": "string", "minutes": "integer", "diet": "string", "serves": "integer"}
_INGREDIENT = {"item": "string", "amount": "number", "unit": "string"}
_MEAL = {"date": "string", "meal": "string", "recipe_id": "integer", "servings": "integer"}
_GROCERY = {"id": "integer", "item": "string", "amount": "number", "unit": "string", "bought": "boolean"}
_CLASS = {
    "id": "integer",
    "kind": "string",
    "trainer": "string",
    "date": "string",
    "start": "string",
    "spots": "integer",
}
_PLACE = {"booking_id": "integer", "class_id": "integer", "kind": "string", "date": "string", "start": "string"}
_PAUSE = {"starts_on": "string", "ends_on": "string"}
SCHEMAS = {
    "Track": schema(_TRACK),
    "Playlist": listed(schema({"id": "integer", "name": "string", "public": "boolean"}), "tracks", record("Track")),
    "Show": schema(_SHOW),
    "Episode": schema(_EPISODE),
    "Subscription": schema(_SUBSCRIPTION),
    "Dish": schema(_DISH),
    "Ingredient": schema(_INGREDIENT),
    "Recipe": listed(schema(_DISH), "ingredients", record("Ingredient")),
    "Meal": schema(_MEAL),
    "Grocery": schema(_GROCERY),
    "GymClass": schema(_CLASS),
    "GymPlace": schema(_PLACE),
    "Pause": schema(_PAUSE),
}

_PLAYLIST_ID = whole("The playlist's id.")
_TRACK_ID = whole("The track's id.")
_SHOW_ID = whole("Id of the show.")
_RECIPE_ID = whole("Which recipe.")
_MEAL_OF_DAY = choice("Meal of the day", "breakfast", "lunch", "dinner")
_ENTRY_ID = whole("Id of the entry.")


def _playlist(state: State, playlist: dict[str, Any]) -> Any:
    tracks = [find(state["tracks"], "track", identifier) for identifier in playlist["track_ids"]]
    return {"id": playlist["id"], "name": playlist["name"], "public": playlist["public"], "tracks": tracks}


def _create_playlist(state: State, given: Arguments) -> Any:
    new = add(state["playlists"], 31, name=given["name"], public=given.get("public", False), track_ids=[])
    return _playlist(state, new)


def _add_track(state: State, given: Arguments) -> Any:
    playlist = find(state["playlists"], "playlist", given["playlistId"])
    track = find(state["tracks"], "track", given["trackId"])
    if track["id"] in playlist["track_ids"]:
        raise Fault(409, f"{track['title']} is in {playlist['name']} already")
    playlist["track_ids"].append(track["id"])
    return _playlist(state, playlist)


def _remove_track(state: State, given: Arguments) -> Any:
    playlist = find(state["playlists"], "playlist", given["playlistId"])
    if given["trackId"] not in playlist["track_ids"]:
        raise Fault(404, f"{playlist['name']} has no track with the id {given['trackId']}")
    playlist["track_ids"].remove(given["trackId"])
    return _playlist(state, playlist)


def _any_of(items: list[dict[str, Any]], keys: tuple[str, ...], words: str) -> list[dict[str, Any]]:
    return [item for item in items if any(matching([item], key, words) for key in keys)]


def _episodes(state: State, given: Arguments) -> Any:
    show = find(state["shows"], "show", given["show"])
    of_show = [episode for episode in state["episodes"] if episode["show"] == show["id"]]
    return sorted(of_show, key=lambda episode: episode["published"], reverse=True)


def _subscribe(state: State, given: Arguments) -> Any:
    show = find(state["shows"], "show", given["show"])
    if any(entry["show"] == show["id"] for entry in state["subscriptions"]):
        raise Fault(409, f"{show['name']} is subscribed to already")
    state["subscriptions"].append({"show": show["id"], "notify": given.get("notify", False)})
    return state["subscriptions"][-1]


def _unsubscribe(state: State, given: Arguments) -> Any:
    entry = next((entry for entry in state["subscriptions"] if entry["show"] == given["show"]), None)
    if entry is None:
        raise Fault(404, f"show {given['show']} is not subscribed to")
    state["subscriptions"].remove(entry)
    return entry


def _enqueue(state: State, given: Arguments) -> Any:
    episode = find(state["episodes"], "episode", given["episode"])
    if episode["id"] in state["queue"]:
        state["queue"].remove(episode["id"])
    state["queue"].insert(0 if given.get("position") == "next" else len(state["queue"]), episode["id"])
    return [find(state["episodes"], "episode", identifier) for identifier in state["queue"]]


def _recipes(state: State, given: Arguments) -> Any:
    longest, diet = given.get("max_minutes"), given.get("diet")
    found = [
        recipe
        for recipe in state["recipes"]
        if (matching([recipe], "name", given["q"]) or matching(recipe["ingredients"], "item", given["q"]))
        and (longest is None or recipe["minutes"] <= longest)
        and recipe["diet"] in ((diet, "vegan") if diet else ("none", "vegetarian", "vegan"))
    ]
    return [{key: recipe[key] for key in _DISH} for recipe in found]


def _meals(state: State, given: Arguments) -> Any:
    return [meal for meal in state["meals"] if given["first_day"] <= meal["date"] <= given.get("last_day", given["first_day"])]


def _planned(state: State, given: Arguments) -> dict[str, Any] | None:
    wanted = (given["date"], given["meal"])
    return next((meal for meal in state["meals"] if (meal["date"], meal["meal"]) == wanted), None)


def _plan_meal(state: State, given: Arguments) -> Any:
    recipe = find(state["recipes"], "recipe", given["recipe_id"])
    if old := _planned(state, given):
        state["meals"].remove(old)
    new = {"servings": recipe["serves"], **given}
    state["meals"].append(new)
    order = _MEAL_OF_DAY["enum"]
    state["meals"].sort(key=lambda meal: (meal["date"], order.index(meal["meal"])))
    return new


def _drop_meal(state: State, given: Arguments) -> Any:
    meal = _planned(state, given)
    if meal is None:
        raise Fault(404, f"no {given['meal']} is planned for {given['date']}")
    state["meals"].remove(meal)
    return meal


def _change_grocery(state: State, given: Arguments) -> Any:
    entry = find(state["groceries"], "entry", given.pop("entry_id"))
    entry.update(given)
    return entry


def _delete_grocery(state: State, given: Arguments) -> Any:
    entry = find(state["groceries"], "entry", given["entry_id"])
    state["groceries"].remove(entry)
    return entry


def _classes(state: State, given: Arguments) -> Any:
    return [item for item in state["gym_classes"] if all(item[key] == value for key, value in given.items())]


def _place(state: State, booking: dict[str, Any]) -> Any:
    course = find(state["gym_classes"], "class", booking["class_id"])
    about = {key: course[key] for key in ("kind", "date", "start")}
    return {"booking_id": booking["id"], "class_id": course["id"], **about}


def _book_class(state: State, given: Arguments) -> Any:
    course = find(state["gym_classes"], "class", given["class_id"])
    if any(booking["class_id"] == course["id"] for booking in state["gym_bookings"]):
        raise Fault(409, f"class {course['id']} is booked already")
    if not course["spots"]:
        raise Fault(409, f"class {course['id']} is full")
    course["spots"] -= 1
    return _place(state, add(state["gym_bookings"], 651, class_id=course["id"]))


def _cancel_class(state: State, given: Arguments) -> Any:
    booking = find(state["gym_bookings"], "class booking", given["booking_id"])
    state["gym_bookings"].remove(booking)
    find(state["gym_classes"], "class", booking["class_id"])["spots"] += 1
    return _place(state, booking)


def _pause(state: State, given: Arguments) -> Any:
    if given["ends_on"] < given["starts_on"]:
        raise Fault(422, f"a pause that starts on {given['starts_on']} cannot end on {given['ends_on']}")
    state["gym_pauses"].append(dict(given))
    return dict(given)


OPERATIONS = (
    Operation(
        *("music", "searchTracks", "GET", "/tracks", "Full-text search over the catalogue: title, artist or genre."),
        *({"q": text("Search words.")}, records("Track")),
        lambda state, given: _any_of(state["tracks"], ("title", "artist", "genre"), given["q"]),
    ),
    Operation(
        *("music", "getMyPlaylists", "GET", "/me/playlists", "The listener's playlists, each with its tracks in order."),
        *({}, records("Playlist")),
        lambda state, given: [_playlist(state, playlist) for playlist in state["playlists"]],
    ),
    Operation(
        *("music", "createPlaylist", "POST", "/me/playlists", "New, empty playlist."),
        {"name": text("Name shown to listeners."), "public": {**flag("Whether others can see it."), "default": False}},
        *(record("Playlist"), _create_playlist, frozenset({"public"}), 201),
    ),
    Operation(
        *("music", "addTrackToPlaylist", "POST", "/playlists/{playlistId}/tracks", "Append a track to a playlist."),
        *({"playlistId": _PLAYLIST_ID, "trackId": _TRACK_ID}, record("Playlist"), _add_track),
    ),
    Operation(
        *("music", "removeTrackFromPlaylist", "DELETE", "/playlists/{playlistId}/tracks/{trackId}"),
        *("Take a track out of a playlist.", {"playlistId": _PLAYLIST_ID, "trackId": _TRACK_ID}, record("Playlist")),
        _remove_track,
    ),
    Operation(
        *("podcasts", "podcast_search", "GET", "/podcasts", "Shows by name, host or topic."),
        *({"term": text("Part of a name, of a host's name or of a topic.")}, records("Show")),
        lambda state, given: _any_of(state["shows"], ("name", "host", "topic"), given["term"]),
    ),
    Operation(
        *("podcasts", "podcast_episodes", "GET", "/podcasts/{show}/episodes", "Episodes of one show, newest first."),
        *({"show": _SHOW_ID}, records("Episode"), _episodes),
    ),
    Operation(
        *("podcasts", "podcast_subscribe", "POST", "/subscriptions", "Subscribe to a show."),
        {"show": _SHOW_ID, "notify": {**flag("Send a notification for each new episode."), "default": False}},
        *(record("Subscription"), _subscribe, frozenset({"notify"}), 201),
    ),
    Operation(
        *("podcasts", "podcast_unsubscribe", "DELETE", "/subscriptions/{show}", "End the subscription to a show."),
        *({"show": _SHOW_ID}, record("Subscription"), _unsubscribe),
    ),
    Operation(
        *(
            "podcasts",
            "listening_queue_add",
            "POST",
            "/queue",
            "Add an episode to the listening queue; answers with the queue.",
        ),
        {
            "episode": whole("Id of the episode."),
            "position": {**choice("In front of everything else, or at the end", "next", "last"), "default": "last"},
        },
        *(records("Episode"), _enqueue, frozenset({"position"})),
    ),
    Operation(
        *("recipes", "lookup_recipes", "GET", "/recipes", "Recipes by the name of the dish or by an ingredient."),
        {
            "q": text("Dish or ingredient."),
            "max_minutes": whole("Longest time it may take, in minutes."),
            "diet": choice("Only dishes of this diet", "vegetarian", "vegan"),
        },
        *(records("Dish"), _recipes, frozenset({"max_minutes", "diet"})),
    ),
    Operation(
        *("recipes", "recipe_details", "GET", "/recipes/{recipe_id}", "One recipe in full, ingredients and amounts included."),
        *({"recipe_id": _RECIPE_ID}, record("Recipe")),
        lambda state, given: find(state["recipes"], "recipe", given["recipe_id"]),
    ),
    Operation(
        *("recipes", "meal_plan_get", "GET", "/meals", "What is planned to be eaten on a day, or from one day to another."),
        *({"first_day": day("First day"), "last_day": day("Last day; if left out, the first day only")}, records("Meal")),
        *(_meals, frozenset({"last_day"})),
    ),
    Operation(
        *("recipes", "meal_plan_set", "PUT", "/meals/{date}/{meal}"),
        "Plan a recipe for a meal. Whatever was planned for that meal is replaced.",
        {
            "date": day("Day of the meal"),
            "meal": _MEAL_OF_DAY,
            "recipe_id": _RECIPE_ID,
            "servings": whole("For how many people; if left out, as many as the recipe serves."),
        },
        *(record("Meal"), _plan_meal, frozenset({"servings"})),
    ),
    Operation(
        *("recipes", "meal_plan_clear", "DELETE", "/meals/{date}/{meal}", "Take a meal out of the plan."),
        *({"date": day("Day of the meal"), "meal": _MEAL_OF_DAY}, record("Meal"), _drop_meal),
    ),
    Operation(
        *("groceries", "groceries_get", "GET", "/groceries", "The grocery list."),
        *({}, records("Grocery")),
        lambda state, given: state["groceries"],
    ),
    Operation(
        *("groceries", "groceries_post", "POST", "/groceries", "Add an entry to the grocery list."),
        {
            "item": text("What to buy."),
            "amount": {**amount("How much or how many of it, in the unit."), "default": 1},
            "unit": {**choice("Unit of the amount", "piece", "pack", "g", "kg", "ml", "l"), "default": "piece"},
        },
        record("Grocery"),
        lambda state, given: add(state["groceries"], 71, **{"amount": 1, "unit": "piece", **given, "bought": False}),
        *(frozenset({"amount", "unit"}), 201),
    ),
    Operation(
        *("groceries", "groceries_patch", "PATCH", "/groceries/{entry_id}", "Change the amount of an entry, or tick it off."),
        {"entry_id": _ENTRY_ID, "amount": amount("New amount, in the entry's unit."), "bought": flag("Whether it was bought.")},
        *(record("Grocery"), _change_grocery, frozenset({"amount", "bought"})),
    ),
    Operation(
        *("groceries", "groceries_delete", "DELETE", "/groceries/{entry_id}", "Delete an entry from the grocery list."),
        *({"entry_id": _ENTRY_ID}, record("Grocery"), _delete_grocery),
    ),
    Operation(
        *("gym", "ListClasses", "GET", "/gym/classes", "Timetable of the gym: trainer, time and free spots of each class."),
        {"date": day("Day"), "kind": choice("Kind of class", "yoga", "pilates", "spinning", "boxing", "swimming")},
        *(records("GymClass"), _classes, frozenset({"date", "kind"})),
    ),
    Operation(
        *("gym", "BookClass", "POST", "/gym/bookings", "Book a spot in a class."),
        *({"class_id": whole("Id of the class.")}, record("GymPlace"), _book_class, frozenset(), 201),
    ),
    Operation(
        *("gym", "ListMyClasses", "GET", "/gym/bookings", "Classes in which the member has a spot."),
        *({}, records("GymPlace")),
        lambda state, given: [_place(state, booking) for booking in state["gym_bookings"]],
    ),
    Operation(
        *("gym", "CancelClass", "DELETE", "/gym/bookings/{booking_id}", "Give back the spot in a class."),
        *({"booking_id": whole("Id of the booking, not of the class.")}, record("GymPlace"), _cancel_class),
    ),
    Operation(
        *("gym", "PauseMembership", "POST", "/gym/pauses", "Suspend the membership; no fee is due for the days of the pause."),
        {"starts_on": day("First day of the pause"), "ends_on": day("Last day of the pause")},
        *(record("Pause"), _pause, frozenset(), 201),
    ),
)
