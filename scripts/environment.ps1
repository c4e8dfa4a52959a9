# Creates, repairs or updates .venv. --dev adds the tools for tests, --extra NAME other packages. PYTHON names an
# interpreter, ATELIER_TORCH a build.
$ErrorActionPreference = "Stop"
Set-Location -LiteralPath (Split-Path $PSScriptRoot)

function Test-Python($candidate) {
    $program, $options = $candidate.Program, $candidate.Options
    try { & $program @options -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>$null } catch { return $false }
    return $LASTEXITCODE -eq 0
}

$candidates = @{ Program = "py"; Options = @("-3") }, @{ Program = "python"; Options = @() }
if ($env:PYTHON) { $candidates = @(@{ Program = $env:PYTHON; Options = @() }) }
$python = $candidates | Where-Object { Test-Python $_ } | Select-Object -First 1
if (-not $python) {
    $page = "https://www.python.org/downloads/windows/ (tick 'Add python.exe to PATH')"
    [Console]::Error.WriteLine("Atelier needs a 64-bit Python 3.11 or newer: $page")
    exit 2
}
$program, $options = $python.Program, $python.Options
& $program @options -m scripts.install @args
exit $LASTEXITCODE
