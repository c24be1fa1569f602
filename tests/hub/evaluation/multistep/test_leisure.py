from __future__ import annotations


def test_playlists(client):
    call = client("terrace", "music")
    (track,) = call("searchTracks", q="blue kiosk")
    assert {found["title"] for found in call("searchTracks", q="quay trio")} == {"Slow Ferry", "Blue Kiosk"}
    new = call("createPlaylist", name="Focus")
    assert (new["public"], new["tracks"]) == (False, [])
    assert call("addTrackToPlaylist", playlistId=new["id"], trackId=track["id"])["tracks"] == [track]
    call.fails("409", "addTrackToPlaylist", playlistId=new["id"], trackId=track["id"])
    call.fails("404", "addTrackToPlaylist", playlistId=new["id"], trackId=999)
    assert call("removeTrackFromPlaylist", playlistId=new["id"], trackId=track["id"])["tracks"] == []
    call.fails("404", "removeTrackFromPlaylist", playlistId=new["id"], trackId=track["id"])
    assert [playlist["name"] for playlist in call("getMyPlaylists")] == ["Dinner", "Running", "Long drives", "Focus"]


def test_podcasts(client):
    call = client("terrace", "podcasts")
    assert [show["id"] for show in call("podcast_search", term="ledger")] == [412, 413]
    assert [show["id"] for show in call("podcast_search", term="history")] == [413]
    published = [episode["published"] for episode in call("podcast_episodes", show=412)]
    assert published == sorted(published, reverse=True)
    call.fails("409", "podcast_subscribe", show=411)
    assert call("podcast_subscribe", show=412, notify=True) == {"show": 412, "notify": True}
    call("podcast_unsubscribe", show=411)
    call.fails("404", "podcast_unsubscribe", show=411)
    assert [entry["show"] for entry in call.state["subscriptions"]] == [413, 412]


def test_the_queue_holds_an_episode_once(client):
    call = client("terrace", "podcasts")
    queue = [4131, 4121]
    assert [entry["id"] for entry in call("listening_queue_add", episode=4112)] == [*queue, 4112]
    assert [entry["id"] for entry in call("listening_queue_add", episode=4112, position="next")] == [4112, *queue]


def test_recipes_are_found_by_name_ingredient_time_and_diet(client):
    call = client("terrace", "recipes")

    def names(**wanted):
        return [dish["name"] for dish in call("lookup_recipes", **wanted)]

    assert names(q="leek") == ["Leek tart", "Chicken stew"]  # one has it in its name, the other in the pot
    assert names(q="leek", max_minutes=60) == ["Leek tart"]
    assert names(q="mushroom", diet="vegetarian") == ["Mushroom risotto", "Mushroom ragout"]  # vegan food is vegetarian, too
    assert names(q="mushroom", diet="vegan") == ["Mushroom ragout"]
    assert call("recipe_details", recipe_id=54)["ingredients"][0] == {"item": "mushrooms", "amount": 300, "unit": "g"}


def test_the_meal_plan(client):
    call = client("terrace", "recipes")
    week = call("meal_plan_get", first_day="2026-11-23", last_day="2026-11-29")
    assert len(week) == 5
    assert [meal["meal"] for meal in call("meal_plan_get", first_day="2026-11-25")] == ["lunch", "dinner"]
    assert call("meal_plan_set", date="2026-11-25", meal="lunch", recipe_id=53)["servings"] == 4  # what the recipe serves
    call("meal_plan_set", date="2026-11-25", meal="breakfast", recipe_id=51, servings=1)
    day = call("meal_plan_get", first_day="2026-11-25")
    assert [(meal["meal"], meal["recipe_id"]) for meal in day] == [("breakfast", 51), ("lunch", 53), ("dinner", 51)]
    call("meal_plan_clear", date="2026-11-25", meal="lunch")
    call.fails("404", "meal_plan_clear", date="2026-11-25", meal="lunch")
    call.fails("404", "meal_plan_set", date="2026-11-25", meal="lunch", recipe_id=99)


def test_groceries(client):
    call = client("terrace", "groceries")
    new = call("groceries_post", item="rice")
    assert new == {"id": 75, "item": "rice", "amount": 1, "unit": "piece", "bought": False}
    assert call("groceries_patch", entry_id=75, amount=2.5)["amount"] == 2.5
    assert call("groceries_patch", entry_id=75, bought=True)["bought"] is True
    assert call("groceries_delete", entry_id=75)["amount"] == 2.5
    assert [entry["id"] for entry in call("groceries_get")] == [71, 72, 73, 74]
    call.fails("404", "groceries_delete", entry_id=75)


def test_the_gym(client):
    call = client("loft", "gym")
    assert [entry["id"] for entry in call("ListClasses", kind="yoga")] == [601, 602]
    booked = call("BookClass", class_id=603)
    assert call("ListClasses", date="2026-11-25")[0]["spots"] == 1
    call.fails("409", "BookClass", class_id=603)  # twice
    call.fails("409", "BookClass", class_id=602)  # full
    assert booked in call("ListMyClasses")
    call("CancelClass", booking_id=booked["booking_id"])
    call.fails("404", "CancelClass", booking_id=booked["booking_id"])
    assert call("ListClasses", date="2026-11-25")[0]["spots"] == 2
    call.fails("422", "PauseMembership", starts_on="2026-12-20", ends_on="2026-12-05")
    call("PauseMembership", starts_on="2026-12-05", ends_on="2026-12-20")
    assert len(call.state["gym_pauses"]) == 1
