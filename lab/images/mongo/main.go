// mongod stands in for MongoDB's server in the lab: FerretDB over SQLite behind mongod's command line.
//
// It keeps mongod's rule about data of other releases: a release opens data of its own series or of the one before,
// and exits with code 62 on anything else. The series is noted in the data directory.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

const (
	exitBadOptions  = 2
	exitWrongData   = 62 // MongoDB's EXIT_NEED_DOWNGRADE
	exitFailed      = 100
	releaseFileName = "lab-release"
)

// series lists the release series in their order; data may move one step at a time.
var series = []string{"4.4", "5.0", "6.0", "7.0", "8.0"}

// parameters collects --setParameter name=value; the real server knows several hundred, this one checks the form alone.
type parameters []string

func (p *parameters) String() string { return strings.Join(*p, ",") }

func (p *parameters) Set(value string) error {
	if name, _, found := strings.Cut(value, "="); !found || name == "" {
		return fmt.Errorf("expected parameter=value, not %q", value)
	}
	*p = append(*p, value)
	return nil
}

func main() {
	release := os.Getenv("MONGO_VERSION")
	var setParameter parameters
	flags := flag.NewFlagSet("mongod", flag.ContinueOnError)
	dbpath := flags.String("dbpath", "/data/db", "directory of the data files")
	port := flags.String("port", "27017", "port to listen on")
	bindIP := flags.String("bind_ip", "127.0.0.1", "address to listen on")
	bindAll := flags.Bool("bind_ip_all", false, "listen on all addresses")
	version := flags.Bool("version", false, "show the version")
	flags.Float64("wiredTigerCacheSizeGB", 0, "accepted; SQLite has its own cache")
	flags.Var(&setParameter, "setParameter", "parameter=value; accepted")
	if err := flags.Parse(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "Error parsing command line: %v\ntry 'mongod --help' for more information\n", err)
		os.Exit(exitBadOptions)
	}
	if *version {
		fmt.Printf("db version v%s\n", release)
		return
	}
	address := *bindIP
	if *bindAll {
		address = "0.0.0.0"
	}
	if err := claim(*dbpath, release); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitWrongData)
	}
	if err := serve(*dbpath, net.JoinHostPort(address, *port)); err != nil {
		fmt.Fprintln(os.Stderr, "mongod:", err)
		os.Exit(exitFailed)
	}
}

// claim notes the release's series in the data directory, unless another one wrote it that this release cannot open.
func claim(dbpath, release string) error {
	mine := release
	if parts := strings.SplitN(release, ".", 3); len(parts) > 1 {
		mine = parts[0] + "." + parts[1]
	}
	path := filepath.Join(dbpath, releaseFileName)
	noted, err := os.ReadFile(path)
	if err == nil {
		found := strings.TrimSpace(string(noted))
		step := slices.Index(series, mine) - slices.Index(series, found)
		if step != 0 && step != 1 {
			return fmt.Errorf("Wrong mongod version: UPGRADE PROBLEM: Found an invalid featureCompatibilityVersion document "+
				"(ERROR: Location4926900: Invalid featureCompatibilityVersion document: { version: %q }) "+
				"with mongod %s. Exiting with code %d", found, release, exitWrongData)
		}
	} else if !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(path, []byte(mine+"\n"), 0o600)
}

// serve runs until it is told to stop.
func serve(dbpath, address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	database, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: address},
		Handler:   "sqlite",
		SQLiteURL: "file:" + filepath.Clean(dbpath) + "/",
		Logger:    slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	log.SetOutput(os.Stdout)
	log.Printf("Waiting for connections on %s, data in %s", address, dbpath)
	return database.Run(ctx)
}
