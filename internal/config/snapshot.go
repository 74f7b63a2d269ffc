package config

import (
	"path/filepath"
	"strings"
)

// snapshotPath takes auto, off, or the absolute path of a file: the program may
// be started in any directory.
func snapshotPath(text string) *problem {
	const usual = "/var/lib/lastgood/cache.snapshot"
	switch {
	case text == "auto" || text == "off":
		return nil
	case !filepath.IsAbs(text):
		return &problem{quote(text) + " is no path", "write auto, off, or a path such as " + usual}
	case strings.HasSuffix(text, "/"):
		return &problem{quote(text) + " is a directory", "add a file's name: " + text + "cache.snapshot"}
	}
	return nil
}
