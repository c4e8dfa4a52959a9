"""Images that people bring and take: uploads, links, resizing, metadata and the data export."""
