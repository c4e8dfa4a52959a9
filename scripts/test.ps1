# Sets up .venv if needed, then runs every check. Arguments are passed to pytest.
$ErrorActionPreference = "Stop"
Set-Location -LiteralPath (Split-Path $PSScriptRoot)
& "$PSScriptRoot\environment.ps1" --dev
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
foreach ($check in @("ruff", "check", "."), @("ruff", "format", "--check", "."), @("mypy"), (@("pytest") + $args)) {
    & ".venv\Scripts\python.exe" -m @check
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}
