package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The file in the data directory that notes the series of the release that wrote it.
const noteName = "lab-release"

// allSeries lists the release series in their order: data goes up one at a time, and never down.
var allSeries = []string{"4.4", "5.0", "6.0", "7.0", "8.0"}

// WrongRelease tells that a data directory belongs to a release whose data this one does not open.
type WrongRelease struct {
	found, mine string
}

func (e *WrongRelease) Error() string {
	return fmt.Sprintf("UPGRADE PROBLEM: Found an invalid featureCompatibilityVersion document (ERROR: Location4926900: "+
		"Invalid featureCompatibilityVersion document in admin.system.version: "+
		"{ _id: \"featureCompatibilityVersion\", version: \"%s\" } :: caused by :: "+
		"Invalid feature compatibility version value, expected %s). "+
		"If the current featureCompatibilityVersion is below %s, see the documentation on upgrading.",
		e.found, expected(e.mine), e.mine)
}

// expected names the series whose data a series opens.
func expected(mine string) string {
	if place := slices.Index(allSeries, mine); place > 0 {
		return fmt.Sprintf("'%s' or '%s'", allSeries[place-1], mine)
	}
	return fmt.Sprintf("'%s'", mine)
}

// seriesOf shortens a release to its series: 7.0.2 is of 7.0.
func seriesOf(release string) string {
	parts := strings.SplitN(release, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// opens tells whether a series opens the data of another.
func opens(mine, found string) bool {
	if mine == found {
		return true
	}
	place := slices.Index(allSeries, found)
	return place >= 0 && slices.Index(allSeries, mine) == place+1
}

// Claim notes the release in the data directory, unless that belongs to a release whose data this one does not open.
func Claim(dbpath, release string) error {
	mine := seriesOf(release)
	path := filepath.Join(dbpath, noteName)
	noted, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if found := strings.TrimSpace(string(noted)); err == nil && !opens(mine, found) {
		return &WrongRelease{found: found, mine: mine}
	}
	// Written aside and renamed: a server that is killed leaves a whole note.
	if err := os.WriteFile(path+".new", []byte(mine+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
