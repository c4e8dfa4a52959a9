# Backs up, pulls and installs; says how to go back. Stop the bot before, and start it afterwards.
$ErrorActionPreference = "Stop"
Set-Location (Split-Path $PSScriptRoot)
$python = & ".venv\Scripts\python.exe" -c "import sys; print(sys._base_executable)"
& $python -m scripts.update @args
exit $LASTEXITCODE
