//! A log that a node keeps in LDK's `FilesystemStore`, read-only.
