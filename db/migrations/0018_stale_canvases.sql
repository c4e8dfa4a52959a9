-- stale counts how often pieces were erased or taken out since the messages of a canvas were drawn.
DROP INDEX canvases_stale;
CREATE INDEX canvases_stale ON canvases (stale) WHERE stale > 0;
