"""Image files going in and out: uploads, links, resizing, metadata and the data export."""
