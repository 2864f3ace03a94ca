import unicodedata
from collections import Counter
from random import Random

from livingworld.demo.branching_story import BranchingStory, demo_story, walk
from livingworld.demo.plan import plan_from_playthroughs, plan_from_story, spellings
from livingworld.demo.playthroughs import Playthrough, Turn
from livingworld.story.characters.name_key import name_key

STORY = demo_story()
ENDINGS = {name for name, scene in STORY.scenes.items() if not scene.ways}


def reached_from(story: BranchingStory, start: str) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        new = {way.to for way in story.scenes[waiting.pop()].ways} - seen
        seen |= new
        waiting += new
    return seen


def test_the_story_is_long_enough_to_be_played() -> None:
    assert len(STORY.scenes) >= 40
    assert len(ENDINGS) >= 4
    assert all(40 <= len(scene.text.split()) <= 120 for scene in STORY.scenes.values())


def test_every_choice_leads_to_a_scene_that_exists() -> None:
    assert {way.to for scene in STORY.scenes.values() for way in scene.ways} <= STORY.scenes.keys()


def test_every_scene_can_be_reached_from_the_start() -> None:
    assert reached_from(STORY, STORY.start) == STORY.scenes.keys()


def test_every_scene_can_reach_an_ending() -> None:
    assert all(reached_from(STORY, name) & ENDINGS for name in STORY.scenes)


def test_every_scene_that_is_no_ending_offers_a_real_choice() -> None:
    for name in STORY.scenes.keys() - ENDINGS:
        ways = STORY.scenes[name].ways
        assert 2 <= len(ways) <= 4
        assert len({way.to for way in ways}) == len({way.text for way in ways}) == len(ways)


def test_ways_part_and_meet_again() -> None:
    arrivals = Counter(way.to for scene in STORY.scenes.values() for way in scene.ways)

    assert sum(count > 1 for count in arrivals.values()) >= 15


def test_everybody_of_the_story_appears_in_it() -> None:
    texts = " ".join(scene.text for scene in STORY.scenes.values())

    assert all(name in texts for name in STORY.characters)


def test_a_walk_goes_from_the_start_to_an_ending_by_its_choices() -> None:
    texts = {scene.text: name for name, scene in STORY.scenes.items()}
    for seed in range(200):
        turns = walk(STORY, Random(seed)).turns
        names = [texts[turn.text] for turn in turns]
        assert names[0] == STORY.start
        assert names[-1] in ENDINGS
        assert turns[0].chosen is None
        for before, turn, here in zip(names, turns[1:], names[1:], strict=False):
            assert turn.chosen is not None
            assert STORY.scenes[before].ways[turn.chosen - 1].to == here


def test_walks_find_every_ending_and_the_same_seed_walks_the_same_way() -> None:
    walks = [walk(STORY, Random(seed)) for seed in range(500)]

    assert len({played.turns[-1].text for played in walks}) == len(ENDINGS)
    assert walks[7] == walk(STORY, Random(7))


def test_a_plan_gives_every_player_stories_and_every_writer_a_share() -> None:
    plan = plan_from_story(STORY, players=5, writers=7)

    assert len(plan.solos) == 5
    assert len(set(plan.solos)) == 5
    assert len(plan.shared) >= 12 * 7
    assert plan.scenes == len(plan.shared) + sum(len(lines) for stories in plan.solos for lines in stories)


def test_the_cast_of_a_planned_scene_is_whom_its_text_names() -> None:
    for line in plan_from_story(STORY, players=1, writers=1).shared:
        assert line.cast == tuple(name for name in STORY.characters if name in line.text)


def test_every_playthrough_is_played_and_every_player_plays() -> None:
    played = [Playthrough((Turn(None, f"{number}", ()),)) for number in range(7)]

    few = plan_from_playthroughs(played, "Seven", players=3, writers=1)
    many = plan_from_playthroughs(played, "Seven", players=9, writers=1)

    assert sorted(lines[0].text for stories in few.solos for lines in stories) == [f"{number}" for number in range(7)]
    assert [len(stories) for stories in few.solos] == [3, 2, 2]
    assert [stories[0][0].text for stories in many.solos] == ["0", "1", "2", "3", "4", "5", "6", "0", "1"]


def test_the_spellings_of_a_name_differ_and_are_one_name() -> None:
    for name in STORY.characters:
        ways = spellings(name)
        assert len({way.strip() for way in ways}) == len(ways)
        assert {name_key(way) for way in ways} == {name_key(name)}
    assert any(not unicodedata.is_normalized("NFC", way) for name in STORY.characters for way in spellings(name))
