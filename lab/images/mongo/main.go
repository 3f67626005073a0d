// mongod stands in for MongoDB's server in the lab: FerretDB over SQLite behind mongod's command line.
//
// It keeps mongod's rule about data of other releases: a release opens data of its own series or of the one before,
// and exits with code 62 at anything else. The series is noted in the data directory.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"

	"clearml-lab/mongod/command"
)

// Exit codes of MongoDB.
const (
	exitBadOptions    = 2
	exitNeedDowngrade = 62
	exitUncaught      = 100
)

func main() {
	release := os.Getenv("MONGO_VERSION")
	options, err := command.Parse(os.Args[1:])
	if errors.Is(err, command.ErrHelp) {
		fmt.Print(command.Usage())
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error parsing command line: %v\ntry 'mongod --help' for more information\n", err)
		os.Exit(exitBadOptions)
	}
	if options.Version {
		fmt.Printf("db version v%s\n", release)
		return
	}
	if err := command.Claim(options.Dbpath, release); err != nil {
		var wrong *command.WrongRelease
		if errors.As(err, &wrong) {
			report("F", 20573, "Wrong mongod version", map[string]any{"error": wrong.Error()})
			os.Exit(exitNeedDowngrade)
		}
		report("E", 20557, "DBException in initAndListen, terminating", map[string]any{"error": err.Error()})
		os.Exit(exitUncaught)
	}
	if err := serve(options.Dbpath, options.Address()); err != nil {
		report("E", 20557, "DBException in initAndListen, terminating", map[string]any{"error": err.Error()})
		os.Exit(exitUncaught)
	}
	report("I", 23138, "Shutting down", map[string]any{"exitCode": 0})
}

// serve runs until it is told to stop.
func serve(dbpath, address string) error {
	// FerretDB starts without its port, too, so whether that is free is tried first.
	probe, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if err := probe.Close(); err != nil {
		return err
	}
	if info, err := os.Stat(dbpath); err != nil || !info.IsDir() {
		return &fs.PathError{Op: "open", Path: dbpath, Err: fs.ErrNotExist}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	database, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: address},
		Handler:   "sqlite",
		SQLiteURL: "file:" + filepath.Clean(dbpath) + "/",
		Logger:    slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	report("I", 23016, "Waiting for connections", map[string]any{"address": address, "dbPath": dbpath})
	if err := database.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
