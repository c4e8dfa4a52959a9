# Sets up .venv if needed, then runs Atelier: scripts\atelier.ps1 setup, doctor, ... or nothing, to start the bot.
$ErrorActionPreference = "Stop"
Set-Location -LiteralPath (Split-Path $PSScriptRoot)
& "$PSScriptRoot\environment.ps1"
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
& ".venv\Scripts\python.exe" main.py @args
exit $LASTEXITCODE
