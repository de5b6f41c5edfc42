"""What the demo shows: plain where the output is no terminal, never wider than 100 columns."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.demo.scene import Place, Scene, SideView
from local.strict import Call

WIDTH = 100
READS = ("Describe", "AssumeRole")
OWNER = "vpc-peering:"


class Screen:
    """Draws with rich."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.console.width = min(WIDTH, self.console.width) if self.console.is_terminal else WIDTH

    def welcome(self, text: str) -> None:
        """Open the demo."""
        self.console.print(Panel(text, title="[bold]Custom::VpcPeering[/]", border_style="cyan", padding=(0, 1)))

    def title(self, number: int, title: str, text: str) -> None:
        """Open a step."""
        self.console.print()
        self.console.rule(f"[bold cyan]{number}[/]  [bold]{title}[/]", align="left", style="cyan")
        self.console.print(text, style="italic")

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text)

    def fact(self, name: str, value: str) -> None:
        """Print one fact; what runs over the line is indented."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(width=10, style="dim")
        grid.add_column(overflow="fold")
        grid.add_row(name, value)
        self.console.print(grid)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that work goes on, and for how long, where somebody watches."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            progress.add_task(escape(text), total=None)
            yield

    def cost(self, seconds: float, calls: Sequence[Call]) -> None:
        """Print how long it took and which calls it needed."""
        writes = Counter(call.operation for call in calls if not call.operation.startswith(READS))
        reads = len(calls) - writes.total()
        listed = ", ".join(f"{count} {name}" if count > 1 else name for name, count in sorted(writes.items()))
        text = f"{seconds:.1f} s, {len(calls)} EC2 and STS calls: {reads} reads, {writes.total()} writes"
        self.fact("cost", f"{text} ({listed})" if listed else text)

    def connection(self, before: Scene, now: Scene) -> None:
        """Show the connection as either side shows it; what changed is marked."""
        if not now.sides:
            return
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
        table.add_column(now.connection_id, style="dim")
        for name in ("requester", "accepter"):
            table.add_column(name, overflow="fold", ratio=1)
        same = len(before.sides) == len(now.sides)
        earlier = [_described(side) if same else {} for side in (before.sides if same else now.sides)]
        latest = [_described(side) for side in now.sides]
        for name in latest[0]:
            cells = [
                _marked(old.get(name), new[name], earlier=bool(old)) for old, new in zip(earlier, latest, strict=True)
            ]
            table.add_row(name, *cells)
        self.console.print()
        self.console.print(table)

    def routes(self, before: Scene, now: Scene, place: Place) -> None:
        """Show every route of every VPC that has one; what changed is marked."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
        table.add_column("")
        for name in ("route table", "destination", "target", "state"):
            table.add_column(name, no_wrap=True)
        for name, vpc in place.vpcs.items():
            rows = [*_rows(before.routes.get(name, {}), now.routes[name], vpc.route_table_ids[0])]
            if rows:
                table.add_row("", f"[bold]{name}[/] [dim]{vpc.account}[/]", f"[dim]{vpc.region}[/]")
                for mark, style, cells in rows:
                    table.add_row(mark, *cells, style=style)
                table.add_section()
        self.console.print()
        self.console.print(table)
        self.console.print("[dim]+ new   ~ changed   - removed   the rest as before; local routes are left out[/]")

    def checks(self, checks: Mapping[str, bool]) -> None:
        """Show what holds and what does not."""
        self.console.print()
        for text, holds in checks.items():
            mark = "[green]✓[/]" if holds else "[bold red]✗ does not hold:[/]"
            self.console.print(f"{mark} {escape(text)}")


def _described(side: SideView) -> dict[str, str]:
    given = sorted((key, value) for key, value in side.tags.items() if not key.startswith(OWNER))
    owner = sorted(key.removeprefix(OWNER) for key in side.tags if key.startswith(OWNER))
    return {
        "account": f"{side.account} {side.region}",
        "VPC": side.vpc_id,
        "CIDR blocks": " ".join(side.cidr_blocks),
        "state": side.state,
        "DNS": "resolves for the other VPC" if side.allows_dns else "not for the other VPC",
        "tags": "\n".join(f"{key}={value}" for key, value in given) or "none",
        "owner tags": f"{OWNER}{{{','.join(owner)}}}" if owner else "none, by design",
    }


def _marked(old: str | None, new: str, *, earlier: bool) -> str:
    text = escape(new)
    return f"[yellow]~ {text}[/]" if earlier and old != new else text


def _rows(
    before: Mapping[tuple[str, str], tuple[str, str]], now: Mapping[tuple[str, str], tuple[str, str]], main: str
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the mark, its style and the cells of each route; a table's id stands in the first of its rows."""
    last = ""
    for key in sorted(before.keys() | now.keys(), key=lambda key: (key[0] != main, key)):
        table_id, destination = key
        old, new = before.get(key), now.get(key)
        target, state = new or old or ("", "")
        mark, style = ("+", "green") if old is None else ("-", "red") if new is None else ("~", "yellow")
        if old == new:
            mark, style = " ", ""
        moved = f"{target} [dim]was {old[0]}[/]" if old and new and old != new else target
        shown = "" if table_id == last else f"{table_id} (main)" if table_id == main else table_id
        last = table_id
        yield mark, style, (shown, destination, moved, "removed" if new is None else state)
