import contextlib
import importlib
import math
import string
import sys
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2i.errors import UsageError
from i2i.plugins import discover, load_plugins
from i2i.registry import Registry
from i2i.spec import Spec


def tower(floors: int, *, height: float = 2.5, roof: Literal["flat", "dome"] = "flat", owner: str | None = None):
    return (floors, height, roof, owner)


class Bridge:
    def __init__(self, span: int, *, toll: bool = False) -> None:
        self.span, self.toll = span, toll


@pytest.fixture
def buildings():
    registry = Registry("building")
    registry.register("tower")(tower)
    registry.register("bridge")(Bridge)
    return registry


def test_registry_is_a_mapping_in_order_of_names(buildings):
    assert list(buildings) == ["bridge", "tower"]
    assert len(buildings) == 2
    assert dict(buildings) == {"bridge": Bridge, "tower": tower}
    assert "tower" in buildings
    assert "town" not in buildings


def test_register_hands_back_what_it_decorates(buildings):
    def hut():
        return "hut"

    assert buildings.register("hut")(hut) is hut
    assert buildings["hut"] is hut


def test_unknown_name_names_the_nearest_and_all(buildings):
    with pytest.raises(UsageError) as caught:
        buildings["towr"]
    assert str(caught.value) == "unknown building 'towr'; did you mean 'tower'? there are: bridge, tower"


def test_unknown_name_without_a_near_one_lists_all(buildings):
    with pytest.raises(UsageError) as caught:
        buildings["xyz"]
    assert str(caught.value) == "unknown building 'xyz'; there are: bridge, tower"


def test_a_name_is_given_once(buildings):
    with pytest.raises(UsageError, match="there already is a building 'tower'"):
        buildings.register("tower")(Bridge)
    assert buildings["tower"] is tower


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
words = st.text(string.ascii_letters + string.digits + "._-+/:%é", min_size=1).filter(
    lambda word: word not in ("true", "false", "none") and not _is_number(word)
)
values = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), words)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


@settings(deadline=None)
@given(name=names, options=st.dictionaries(names, values, max_size=4))
def test_a_spec_is_its_string(name, options):
    spec = Spec(name, options)
    read = Spec.parse(str(spec))
    assert read == spec
    assert hash(read) == hash(spec)
    assert {option: type(value) for option, value in read.options.items()} == {o: type(v) for o, v in options.items()}


@pytest.mark.parametrize("word", ["", "\tword", "word\n", "\u3000word", "word\u00a0"])
def test_a_word_that_parsing_would_strip_is_refused(word):
    with pytest.raises(UsageError, match="can't be written in a spec"):
        Spec("tower", {"owner": word})


@pytest.mark.parametrize("value", ["7", "1e3", "true", "none", "inf", "a,b", "a=b", "a b", math.nan])
def test_a_value_that_would_be_read_as_another_is_refused(value):
    with pytest.raises(UsageError, match="can't be written in a spec"):
        Spec("tower", {"owner": value})


def test_parse_reads_each_kind_of_value():
    spec = Spec.parse(" tower: floors=7 ,height=1e-3,lift=true,stairs=false,owner=none,roof=dome ")
    assert spec.name == "tower"
    assert spec.options == {
        "floors": 7,
        "height": 0.001,
        "lift": True,
        "stairs": False,
        "owner": None,
        "roof": "dome",
    }
    assert [type(value) for value in spec.options.values()] == [int, float, bool, bool, type(None), str]
    assert str(spec) == "tower:floors=7,height=0.001,lift=true,stairs=false,owner=none,roof=dome"


def test_specs_are_equal_whatever_the_order_of_options():
    one, other = Spec.parse("tower:floors=7,roof=dome"), Spec.parse("tower:roof=dome,floors=7")
    assert one == other
    assert len({one, other}) == 1
    assert one != Spec.parse("tower:floors=8,roof=dome")
    assert one != Spec.parse("bridge:floors=7,roof=dome")


def test_a_spec_keeps_its_own_options():
    options = {"floors": 7}
    spec = Spec("tower", options)
    options["floors"] = 8
    assert spec.options == {"floors": 7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a name; a spec reads name:option=value,option=value"),
        ("two words", "'two words' is not a name"),
        (":floors=7", "'' is not a name"),
        ("tower:floors", "'floors' in 'tower:floors' is not option=value, such as depth=7"),
        ("tower:floors=", "'floors=' in 'tower:floors=' is not option=value"),
        ("tower:=7", "'' is not a name"),
        ("tower:floors=7,floors=8", "'floors' is given twice in 'tower:floors=7,floors=8'"),
    ],
)
def test_malformed_specs_say_which_part(text, message):
    with pytest.raises(UsageError) as caught:
        Spec.parse(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("town:floors=7", "unknown building 'town'; did you mean 'tower'? there are: bridge, tower"),
        (
            "tower:flors=7",
            "unknown option of 'tower' 'flors'; did you mean 'floors'? there are: floors, height, owner, roof",
        ),
        ("tower:floors=many", "tower: floors=many should be an integer"),
        ("tower:floors=2.5", "tower: floors=2.5 should be an integer"),
        ("tower:floors=true", "tower: floors=true should be an integer"),
        ("tower:floors=7,height=tall", "tower: height=tall should be a number"),
        ("tower:floors=7,height=true", "tower: height=true should be a number"),
        ("tower:floors=7,roof=domed", "tower: roof=domed should be one of flat, dome"),
        ("tower:floors=7,owner=3", "tower: owner=3 should be a word or none"),
        ("bridge:span=3,toll=1", "bridge: toll=1 should be true or false"),
        ("tower:roof=dome", "tower needs floors, such as tower:floors=3"),
    ],
)
def test_specs_that_the_builder_does_not_take(buildings, text, message):
    with pytest.raises(UsageError) as caught:
        Spec.parse(text).complete(buildings)
    assert str(caught.value) == message


def test_complete_writes_the_defaults_out(buildings):
    spec = Spec.parse("tower:roof=dome").complete(buildings, floors=7)
    assert str(spec) == "tower:floors=7,height=2.5,roof=dome,owner=none"
    assert spec.complete(buildings) == spec


def test_complete_leaves_out_what_the_builder_does_not_take(buildings):
    assert str(Spec.parse("bridge").complete(buildings, span=9, colour="red")) == "bridge:span=9,toll=false"


def test_complete_refuses_to_contradict_what_is_given(buildings):
    with pytest.raises(UsageError) as caught:
        Spec.parse("tower:floors=7").complete(buildings, floors=8)
    assert str(caught.value) == "tower: floors=7, but here it must be 8"
    assert Spec.parse("tower:floors=8").complete(buildings, floors=8).options["floors"] == 8


def test_build_calls_the_builder(buildings):
    assert Spec.parse("tower:height=3").build(buildings, floors=7) == (7, 3, "flat", None)
    bridge = Spec.parse("bridge:toll=true,span=12").build(buildings)
    assert (bridge.span, bridge.toll) == (12, True)


def test_discover_imports_every_module_of_a_package(tmp_path, monkeypatch):
    package = tmp_path / "discovered_package"
    package.mkdir()
    (package / "__init__.py").write_text("found = []\n")
    for name in ("one", "two"):
        (package / f"{name}.py").write_text(f"from discovered_package import found\nfound.append({name!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    discover("discovered_package")
    assert sorted(importlib.import_module("discovered_package").found) == ["one", "two"]


def test_plugins_are_loaded_by_file_once(tmp_path, monkeypatch):
    log = tmp_path / "log"
    log.touch()
    file = tmp_path / "plugin_by_file.py"
    file.write_text(f"import pathlib\nlog = pathlib.Path({str(log)!r})\nlog.write_text(log.read_text() + 'loaded ')\n")
    monkeypatch.chdir(tmp_path)
    load_plugins([str(file), "./plugin_by_file.py"])
    load_plugins([str(file)])
    assert log.read_text() == "loaded "


def test_plugins_are_loaded_by_dotted_name_from_the_current_folder(tmp_path, monkeypatch):
    package = tmp_path / "plugin_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inside.py").write_text("value = 2\n")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    monkeypatch.chdir(tmp_path)
    load_plugins(["plugin_package.inside"])
    assert sys.modules["plugin_package.inside"].value == 2


def test_installed_plugins_are_loaded_by_their_entry_point(tmp_path, monkeypatch):
    (tmp_path / "installed_plugin.py").write_text("value = 3\n")
    info = tmp_path / "installed_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[i2i]\nmine = installed_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    load_plugins()
    assert sys.modules["installed_plugin"].value == 3


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            "no_such_plugin",
            "import=no_such_plugin: no module of that name; give its file, such as ./no_such_plugin.py",
        ),
        ("no_such_package.inside", "import=no_such_package.inside: no module of that name"),
        ("i2i.no_such_module", "import=i2i.no_such_module: no module of that name"),
        ("folder/no_such_plugin.py", "import=folder/no_such_plugin.py: no such file"),
    ],
)
def test_missing_plugins_are_reported(module, message):
    with pytest.raises(UsageError) as caught:
        load_plugins([module])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("module", ["./no_such_plugin", ".relative", "../up", ""])
def test_a_name_that_no_module_can_have_is_a_usage_error(module):
    with pytest.raises(UsageError, match=r"^import"):
        load_plugins([module])


def test_a_plugin_that_lacks_a_dependency_says_so_itself(tmp_path, monkeypatch):
    (tmp_path / "plugin_in_need.py").write_text("import a_dependency_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_dependency_that_is_missing"):
        load_plugins(["plugin_in_need"])


def test_a_plugin_file_that_fails_fails_again(tmp_path):
    file = tmp_path / "plugin_that_fails.py"
    file.write_text("raise RuntimeError('half way')\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="half way"):
            load_plugins([str(file)])


def test_a_plugin_file_does_not_replace_another_module(tmp_path):
    before = sys.modules["string"]
    file = tmp_path / "string.py"
    file.write_text("value = 4\n")
    try:
        with contextlib.suppress(UsageError):
            load_plugins([str(file)])
        assert sys.modules["string"] is before
    finally:
        sys.modules["string"] = before


def test_a_brief_spec_leaves_out_what_is_by_default():
    def build(channels: int, *, depth: int = 8, norm: str = "batch") -> None: ...

    registry = {"net": build}
    whole = Spec.parse("net:depth=7").complete(registry, channels=3)
    assert str(whole) == "net:channels=3,depth=7,norm=batch"
    assert str(whole.brief(registry)) == "net:channels=3,depth=7"
