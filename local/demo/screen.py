"""What the demo shows: plain where the output is no terminal, never wider than 100 columns."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from ipaddress import ip_network

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.demo.scene import Place, RouteKey, Scene, SideView, Target
from local.strict import Call
from local.world import Vpc

WIDTH = 100
READS = ("Describe", "AssumeRole")
OWNER = "vpc-peering:"
STYLES = {"+": "green", "~": "yellow", "-": "red", " ": ""}
COLUMNS = (("", 1), ("route table", 28), ("destination", 14), ("target", 35), ("state", 9))


class Screen:
    """Draws with rich."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.console.width = min(WIDTH, self.console.width) if self.console.is_terminal else WIDTH

    def welcome(self, text: str) -> None:
        """Open the demo."""
        self.console.print(Panel(text, title="[bold]Custom::VpcPeering[/]", border_style="cyan", padding=(1, 2)))

    def title(self, number: int, title: str, text: str) -> None:
        """Open a step."""
        self.console.print()
        self.console.rule(f"[bold cyan]{number}[/]  [bold]{title}[/]", align="left", style="cyan")
        self.console.print(f"[italic]{text}[/]\n")

    def fact(self, name: str, value: str) -> None:
        """Print one fact; what runs over the line is indented."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(width=10, style="dim")
        grid.add_column(overflow="fold")
        grid.add_row(name, escape(value))
        self.console.print(grid)

    def status(self, text: str, reason: str, found: str) -> None:
        """Print the stack's status, why the resource failed if it did, and what maintenance has found if it looked."""
        self.fact("stack", text)
        for name, told in (("reason", reason), ("found", found)):
            if told:
                self.fact(name, told)

    def working(self, text: str) -> AbstractContextManager[object]:
        """Show that work goes on, and for how long, where somebody watches."""
        if not self.console.is_terminal:
            return nullcontext()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        progress = Progress(*columns, console=self.console, transient=True)
        progress.add_task(escape(text), total=None)
        return progress

    @contextmanager
    def task(self, name: str, text: str) -> Iterator[None]:
        """Show that a task goes on, then that it is done and how long it took."""
        began = time.monotonic()
        with self.working(text):
            yield
        self.fact(name, f"{text} ({time.monotonic() - began:.1f} s)")

    def cost(self, seconds: float, calls: Sequence[Call]) -> None:
        """Print how long it took and which calls it needed; those that EC2 refused are named."""
        writes = [call for call in calls if not call.operation.startswith(READS)]
        count = f"{len(calls)} calls to EC2 and STS: {len(calls) - len(writes)} reads, {len(writes)} writes"
        self.fact("cost", f"{seconds:.1f} s, {count}")
        if writes:
            done = Counter(call.operation for call in writes if not call.error)
            self.fact("", ", ".join(f"{count} {name}" for name, count in sorted(done.items())))
        if refused := Counter(f"{call.operation} ({call.error})" for call in writes if call.error):
            self.fact("", "tried again: " + ", ".join(f"{count} {name}" for name, count in refused.items()))

    def connection(self, before: Scene, now: Scene) -> None:
        """Show the connection as either side shows it; what changed is marked."""
        if not now.sides:
            return
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
        table.add_column("connection", style="dim", width=11)
        for name in ("as the requester sees it", "as the accepter sees it"):
            table.add_column(name, overflow="fold", width=42)
        latest = [_described(now.connection_id, side) for side in now.sides]
        earlier = [_described(before.connection_id, side) for side in before.sides] or latest
        for name in latest[0]:
            cells = [_marked(old[name], new[name]) for old, new in zip(earlier, latest, strict=True)]
            table.add_row(name, *cells)
        self.console.print()
        self.console.print(table)

    def routes(self, before: Scene, now: Scene, place: Place) -> None:
        """Show every route of every VPC that has one; what changed is marked."""
        header = True
        self.console.print()
        for name, vpc in place.vpcs.items():
            rows = [*_rows(before.routes.get(name, {}), now.routes[name], vpc.route_table_ids[0])]
            if rows:
                self._routes_of(name, vpc, rows, header=header)
                header = False
        self.console.print("[dim]+ new   ~ changed   - removed   the rest as before; local routes are left out[/]")

    def checks(self, checks: Mapping[str, bool]) -> None:
        """Show what holds and what does not."""
        self.console.print()
        for text, holds in checks.items():
            grid = Table.grid(padding=(0, 1))
            grid.add_row("[green]✓[/]" if holds else "[bold red]✗ does not hold:[/]", escape(text))
            self.console.print(grid)

    def failed(self, text: str) -> None:
        """Close the demo with what failed."""
        self.console.print(f"\n[bold red]{escape(text)}[/]")

    def done(self, seconds: float, text: str) -> None:
        """Close the demo."""
        self.console.print()
        self.console.rule(style="cyan")
        self.console.print(f"[bold green]Every step held[/], in {seconds:.0f} s; nothing is left behind.\n")
        self.console.print(text)

    def _routes_of(self, name: str, vpc: Vpc, rows: list[tuple[str, ...]], *, header: bool) -> None:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, show_header=header)
        for title, width in COLUMNS:
            table.add_column(title, width=width, no_wrap=True)
        for row in rows:
            table.add_row(*row, style=STYLES[row[0]])
        self.console.print(f"[bold]{name}[/] {vpc.id} in {vpc.account} {vpc.region}")
        self.console.print(table)
        self.console.print()


def _described(connection_id: str, side: SideView) -> dict[str, str]:
    given = sorted((key, value) for key, value in side.tags.items() if not key.startswith(OWNER))
    owner = sorted(key.removeprefix(OWNER) for key in side.tags if key.startswith(OWNER))
    return {
        "id": connection_id,
        "state": side.state,
        "VPC": f"{side.vpc_id}\n{side.account} {side.region}",
        "CIDR blocks": "\n".join(sorted(side.cidr_blocks, key=ip_network)),
        "DNS": "resolves for the other VPC" if side.allows_dns else "does not resolve for the other VPC",
        "tags": "\n".join(f"{key}={value}" for key, value in given),
        "owner tags": ", ".join(owner) or "kept by the requester alone",
    }


def _marked(old: str, new: str) -> str:
    earlier = old.splitlines()
    return "\n".join(escape(line) if line in earlier else f"[yellow]~ {escape(line)}[/]" for line in new.splitlines())


def _rows(before: Mapping[RouteKey, Target], now: Mapping[RouteKey, Target], main: str) -> Iterator[tuple[str, ...]]:
    """Yield the mark and the cells of each route; a table's id stands in the first of its rows."""
    last = ""
    for key in sorted(before.keys() | now.keys(), key=lambda key: (key[0] != main, key[0], ip_network(key[1]))):
        table_id, destination = key
        old, new = before.get(key), now.get(key)
        target, state = new or (old[0] if old else "", "removed")
        if moved := old and new and old[0] != new[0]:
            target += f" [dim]was …{old[0][-6:]}[/]" if old else ""
        mark = "+" if old is None else "-" if new is None else "~" if moved or old != new else " "
        shown = "" if table_id == last else f"{table_id} (main)" if table_id == main else table_id
        last = table_id
        yield mark, shown, destination, target, state
