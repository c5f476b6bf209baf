"""What a file of Python imports."""
import ast
import sys


def third_party(path):
    """Names of the packages that a file imports, anywhere in it, without those of Python and our own."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"lib"}
