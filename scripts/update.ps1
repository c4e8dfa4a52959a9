# Backs up, pulls and installs; says how to go back. Stop the bot before, and start it afterwards.
$ErrorActionPreference = "Stop"
Set-Location -LiteralPath (Split-Path $PSScriptRoot)
if (-not (Test-Path ".venv\Scripts\python.exe")) {
    [Console]::Error.WriteLine("Run scripts\environment.ps1 first.")
    exit 2
}
$python = & ".venv\Scripts\python.exe" -c "import sys; print(sys._base_executable)"
& $python -B -m scripts.update @args
exit $LASTEXITCODE
