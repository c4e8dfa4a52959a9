@echo off
rem Double-click to try Atelier: sets up .venv if needed, then opens the preview in a browser.
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0scripts\preview.ps1" %*
if errorlevel 1 pause
