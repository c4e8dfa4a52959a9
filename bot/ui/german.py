"""What the bot says, in German: by the English text, with the same places for values."""

from __future__ import annotations

GERMAN = {
    # Where a job stands
    "Waiting to start": "Wartet auf den Start",
    "Starting": "Beginnt",
    "{place} in the queue": "{place} in der Warteschlange",
    "next": "als Nächstes",
    "number {position}": "Platz {position}",
    "a few seconds": "wenige Sekunden",
    "about {number} seconds": "etwa {number} Sekunden",
    "about {number} minutes": "etwa {number} Minuten",
    "about {number} hours": "etwa {number} Stunden",
    "loading {model} ({number} of {of}: {part})": "{model} wird geladen ({number} von {of}: {part})",
    "waiting until {model} is loaded": "wartet, bis {model} geladen ist",
    "waiting until there is room in memory for {model}": "wartet, bis im Speicher Platz für {model} ist",
    "the model cannot be loaded at the moment": "das Modell kann gerade nicht geladen werden",
    "the drawing process is being started again": "der Zeichenprozess wird neu gestartet",
    "Discord lets me write here for 15 minutes only: I will send the result as a direct message.": (
        "Discord lässt mich hier nur 15 Minuten lang schreiben: Das Ergebnis kommt als Direktnachricht."
    ),
    "after a picture by {whom}": "nach einem Bild von {whom}",
    "I could not answer in {where}.": "Ich konnte in {where} nicht antworten.",
    "Cancelled by {whom}.": "Abgebrochen von {whom}.",
    # Whose picture it is
    "Drawn for ": "Gezeichnet für ",
    " (turbo)": " (turbo)",
    " (relaxed)": " (ohne Eile)",
    "Blended by ": "Gemischt von ",
    "Drawn again by ": "Noch einmal gezeichnet von ",
    "Image #{number} ": "Bild {number} ",
    "Upscaled (Subtle) by ": "Vergrößert (behutsam) von ",
    "Upscaled (Creative) by ": "Vergrößert (kreativ) von ",
    "Upscaled (Creative, 4×) by ": "Vergrößert (kreativ, 4×) von ",
    "Variations (Subtle) of image #{number} by ": "Variationen (behutsam) von Bild {number}, von ",
    "Variations (Strong) of image #{number} by ": "Variationen (kräftig) von Bild {number}, von ",
    "Variations (Region) by ": "Variationen (Ausschnitt) von ",
    "Zoom Out (2×) by ": "Herausgezoomt (2×) von ",
    "Zoom Out (1.5×) by ": "Herausgezoomt (1,5×) von ",
    "Zoom Out by ": "Herausgezoomt von ",
    "Pan Left by ": "Nach links erweitert von ",
    "Pan Right by ": "Nach rechts erweitert von ",
    "Pan Up by ": "Nach oben erweitert von ",
    "Pan Down by ": "Nach unten erweitert von ",
    "Made square by ": "Quadratisch gemacht von ",
    "Remix (Subtle) by ": "Remix (behutsam) von ",
    "Remix (Strong) by ": "Remix (kräftig) von ",
    # What the owners' rules are against
    "1 job": "1 Auftrag",
    "{number} jobs": "{number} Aufträge",
    "1 second": "1 Sekunde",
    "{number} seconds": "{number} Sekunden",
    "Your limit here is {most} in 24 hours, and you have used {used}.": (
        "Dein Limit hier: {most} in 24 Stunden. Davon hast du {used} verbraucht."
    ),
    " This request adds {number} more.": " Dazu kämen jetzt {number}.",
    "Your limit here is {most} of drawing time in 24 hours, and you have used {used}.": (
        "Dein Limit für die Zeichenzeit hier: {most} in 24 Stunden. Davon hast du {used} verbraucht."
    ),
    "Please wait {time}: this server has a cooldown between jobs.": (
        "Bitte warte {time}: Zwischen zwei Aufträgen gilt hier eine Pause."
    ),
    "I do not draw in this channel. Go to {where}.": "In diesem Kanal zeichne ich nicht. Geh nach {where}.",
    "{named} and {number} more": "{named} und {number} weitere",
    "The owners of this server allow {models} only, not {model}.": (
        "Auf diesem Server ist nur {models} erlaubt, nicht {model}."
    ),
    "Private pictures (`--stealth`) are switched off in this server: add `--public`, or use `/public`.": (
        "Private Bilder (`--stealth`) sind auf diesem Server ausgeschaltet: "
        "Ergänze `--public`, oder stelle mit `/public` alle um."
    ),
    "Only {whom} may use fast mode here. Leave it out to run the job relaxed.": (
        "Der schnelle Modus ist hier nur für {whom}. Lass ihn weg, dann läuft der Auftrag ohne Eile."
    ),
    "Only {whom} may upscale this much here.": "So stark vergrößern darf hier nur {whom}.",
    "Only {whom} may use `--repeat` here.": "`--repeat` ist hier nur für {whom}.",
    "Only {whom} may use choices in braces here.": "Auswahlen in geschweiften Klammern sind hier nur für {whom}.",
    "This makes {jobs} jobs, but only {most} are allowed at once here.": (
        "Das ergibt {jobs} Aufträge, erlaubt sind hier aber nur {most} auf einmal."
    ),
    "The longer side would be {side} pixels, and your limit here is {most}.": (
        "Die längere Seite hätte {side} Pixel, dein Limit hier ist {most}."
    ),
    "This takes {steps} steps, and your limit here is {most}.": (
        "Das braucht {steps} Schritte, dein Limit hier ist {most}."
    ),
    "The moderators have blocked you from using me in this server": (
        "Die Moderation hat dich auf diesem Server für mich gesperrt"
    ),
    " until {time}": " bis {time}",
    "The owners of this server do not allow {words} in prompts": (
        "Auf diesem Server ist in Prompts nicht erlaubt: {words}"
    ),
    "The owners of this server would rather not see {words} in prompts.": (
        "Auf diesem Server ist in Prompts nicht gern gesehen: {words}."
    ),
    # The queue
    "The queue is empty: what you ask for now is drawn at once.": (
        "Die Warteschlange ist leer: Was du jetzt wünschst, wird sofort gezeichnet."
    ),
    "being drawn": "wird gezeichnet",
    "waiting": "wartet",
    "yours": "deiner",
    "somebody's elsewhere": "von anderswo",
    " (private)": " (privat)",
    "**{running} being drawn, {waiting} waiting**": "**{running} werden gezeichnet, {waiting} warten**",
    "-# and {number} more": "-# und {number} weitere",
    "-# The last of them starts in {time}.": "-# Der letzte davon beginnt ungefähr in: {time}.",
}
