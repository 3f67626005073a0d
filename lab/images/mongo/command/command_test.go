package command

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestOpens(t *testing.T) {
	for _, row := range []struct {
		mine, found string
		want        bool
	}{
		{"7.0", "7.0", true},
		{"8.0", "7.0", true},
		{"8.0", "6.0", false},
		{"7.0", "8.0", false},
		{"7.0", "99.0", false},
		{"99.0", "99.0", true},
	} {
		if got := opens(row.mine, row.found); got != row.want {
			t.Errorf("opens(%q, %q) is %v", row.mine, row.found, got)
		}
	}
}

func TestClaim(t *testing.T) {
	folder := t.TempDir()
	for _, release := range []string{"6.0.20", "6.0.1", "7.0.2", "7.0.2", "8.0.1"} {
		if err := Claim(folder, release); err != nil {
			t.Fatalf("%s: %v", release, err)
		}
	}
	var wrong *WrongRelease
	if err := Claim(folder, "7.0.2"); !errors.As(err, &wrong) || wrong.found != "8.0" {
		t.Errorf("a newer release's data was taken: %v", err)
	}
	if noted, _ := os.ReadFile(filepath.Join(folder, noteName)); string(noted) != "8.0\n" {
		t.Errorf("the note was changed to %q", noted)
	}
}

func TestParse(t *testing.T) {
	good, err := Parse([]string{"--bind_ip_all", "--port=27018", "--setParameter", "a=1", "--wiredTigerCacheSizeGB", "0.5"})
	if err != nil || good.Address() != "0.0.0.0:27018" {
		t.Errorf("%+v, %v", good, err)
	}
	for _, bad := range [][]string{
		{"--auth"}, {"--port", "0"}, {"--setParameter", "a"}, {"--wiredTigerCacheSizeGB", "0.1"}, {"extra"},
	} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}
