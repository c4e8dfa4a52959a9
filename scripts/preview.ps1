# Sets up .venv if needed, then starts the preview: the bot in a browser, without a Discord account.
& "$PSScriptRoot\atelier.ps1" preview @args
exit $LASTEXITCODE
