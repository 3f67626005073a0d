// Package command is mongod's command line, and its rule about data of other releases.
package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// Options are those of mongod's that mean something here. What it does not know it refuses, as mongod does: an option
// that is silently ignored, such as --auth, would be worse than none.
type Options struct {
	Dbpath  string
	Version bool

	port      int
	bindIP    string
	bindIPAll bool
}

// ErrHelp tells that only help was asked for.
var ErrHelp = errors.New("help was asked for")

// Parse reads a command line.
func Parse(arguments []string) (*Options, error) {
	var o Options
	flags := o.flags()
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, ErrHelp
		}
		if name, found := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); found {
			return nil, fmt.Errorf("unrecognised option '--%s'", name)
		}
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, errors.New("too many positional options have been specified on the command line")
	}
	if o.port < 1 || o.port > 65535 {
		return nil, fmt.Errorf("--port is %d: it must be between 1 and 65535", o.port)
	}
	return &o, nil
}

func (o *Options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("mongod", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.Dbpath, "dbpath", "/data/db", "directory of the data files")
	flags.IntVar(&o.port, "port", 27017, "port to listen on")
	flags.StringVar(&o.bindIP, "bind_ip", "localhost", "addresses to listen on, separated by commas (several mean all)")
	flags.BoolVar(&o.bindIPAll, "bind_ip_all", false, "listen on all addresses")
	flags.BoolVar(&o.Version, "version", false, "show the version")
	flags.Func("setParameter", "name=value; accepted without effect", setParameter)
	flags.Func("wiredTigerCacheSizeGB", "accepted without effect: SQLite has a cache of its own", cacheSize)
	return flags
}

// Address is where to listen. FerretDB listens on one address or on all of them.
func (o *Options) Address() string {
	host := o.bindIP
	if o.bindIPAll || host == "*" || strings.Contains(host, ",") {
		host = "0.0.0.0"
	}
	return net.JoinHostPort(host, strconv.Itoa(o.port))
}

// setParameter checks the form alone: the real server knows several hundred parameters.
func setParameter(value string) error {
	if name, _, found := strings.Cut(value, "="); !found || name == "" {
		return fmt.Errorf("illegal --setParameter parameter: %q", value)
	}
	return nil
}

// cacheSize checks what mongod checks.
func cacheSize(value string) error {
	size, err := strconv.ParseFloat(value, 64)
	if err != nil || size < 0.25 || size > 10000 {
		return fmt.Errorf("%q is not between 0.25 and 10000", value)
	}
	return nil
}

// Usage describes the options.
func Usage() string {
	var text strings.Builder
	var o Options
	flags := o.flags()
	flags.SetOutput(&text)
	fmt.Fprintln(&text, "The lab's stand-in for mongod (FerretDB over SQLite). Options:")
	flags.PrintDefaults()
	return text.String()
}
