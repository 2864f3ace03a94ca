from random import Random

from livingworld.demo.story_tree import Node, draw, shorten


def node(number: int, parent: int | None, *choices: str, chosen: int | None = None, text: str = "") -> Node:
    return Node(number, parent, text or f"scene {number}", choices, chosen)


def test_no_scenes_make_no_lines() -> None:
    assert draw([]) == []


def test_a_straight_run_keeps_its_margin_and_choices_nobody_took_are_leaves() -> None:
    story = [node(1, None, "left", "right", "back"), node(2, 1, "on", chosen=2), node(3, 2, chosen=1)]

    assert draw(story) == [
        "1 scene 1",
        "├╴ left",
        "├╴ back",
        "╰▶ right",
        "2 scene 2",
        "╰▶ on",
        "3 scene 3",
    ]


def test_the_choices_of_the_last_scene_are_all_leaves() -> None:
    assert draw([node(1, None, "left", "right")]) == ["1 scene 1", "├╴ left", "╰╴ right"]


def test_a_fork_indents_what_follows_each_way() -> None:
    story = [
        node(1, None, "left", "right", "back"),
        node(2, 1, "on", "stop", chosen=1),
        node(3, 1, chosen=2),
        node(4, 2, chosen=1),
    ]

    assert draw(story) == [
        "1 scene 1",
        "├╴ back",
        "├▶ left",
        "│  2 scene 2",
        "│  ├╴ stop",
        "│  ╰▶ on",
        "│  4 scene 4",
        "╰▶ right",
        "   3 scene 3",
    ]


def test_forks_inside_forks_keep_the_rails_of_the_outer_ones() -> None:
    story = [node(1, None), node(2, 1), node(3, 1), node(4, 2), node(5, 2)]

    assert draw(story) == [
        "1 scene 1",
        "├▶ (it goes on)",
        "│  2 scene 2",
        "│  ├▶ (it goes on)",
        "│  │  4 scene 4",
        "│  ╰▶ (it goes on)",
        "│     5 scene 5",
        "╰▶ (it goes on)",
        "   3 scene 3",
    ]


def test_the_same_choice_taken_twice_is_a_fork() -> None:
    story = [node(1, None, "left"), node(2, 1, chosen=1), node(3, 1, chosen=1)]

    assert draw(story) == ["1 scene 1", "├▶ left", "│  2 scene 2", "╰▶ left", "   3 scene 3"]


def test_a_scene_without_a_choice_goes_on_without_a_line_between() -> None:
    assert draw([node(1, None), node(2, 1)]) == ["1 scene 1", "2 scene 2"]


def test_several_beginnings_and_a_scene_whose_parent_is_missing_are_drawn() -> None:
    assert [line for line in draw([node(1, None), node(2, None), node(7, 6)]) if "scene" in line] == [
        "│  1 scene 1",
        "│  2 scene 2",
        "   7 scene 7",
    ]


def test_the_order_of_the_nodes_does_not_matter_and_each_is_drawn_once() -> None:
    for seed in range(50):
        random = Random(seed)
        story = [node(number, random.randrange(1, number) if number > 1 else None) for number in range(1, 40)]
        lines = draw(random.sample(story, len(story)))
        assert lines == draw(story)
        assert sorted(int(line.split()[-1]) for line in lines if "scene" in line) == list(range(1, 40))


def test_a_story_deeper_than_the_stack_is_drawn() -> None:
    straight = [node(number, number - 1 or None) for number in range(1, 20_001)]
    forked = [node(number, (number - 1) // 2 * 2 or None) for number in range(1, 4_001)]

    assert len(draw(straight)) == 20_000
    assert sum("scene" in line for line in draw(forked)) == 4_000


def test_a_text_is_one_short_line_that_cannot_steer_the_terminal() -> None:
    (line,) = draw([node(1, None, text="red\x1b[31m\nand\tgreen\x07 \u202egnol " + "x" * 1_000_000)])

    assert line.startswith("1 red[31m and green gnol xxx")
    assert line.isprintable()
    assert len(line) < 200


def test_shortening_keeps_the_beginning_and_the_end_and_counts_the_rest() -> None:
    lines = [str(number) for number in range(100)]

    assert shorten(lines, 100) == lines
    assert shorten(lines, 7) == ["0", "1", "2", "3", "⋮ 94 more lines", "98", "99"]
    assert len(shorten(lines, 3)) == 3
