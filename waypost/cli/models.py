import typer

group = typer.Typer()


@group.command("list")
def list_():
    pass


@group.command("measure")
def measure():
    pass


def pull():
    pass


def ensure(model, pull):
    pass
