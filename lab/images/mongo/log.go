package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// report writes one line in the form of MongoDB's log.
func report(severity string, id int, message string, attributes map[string]any) {
	line, err := json.Marshal(struct {
		Time       map[string]string `json:"t"`
		Severity   string            `json:"s"`
		Component  string            `json:"c"`
		ID         int               `json:"id"`
		Context    string            `json:"ctx"`
		Message    string            `json:"msg"`
		Attributes map[string]any    `json:"attr"`
	}{
		map[string]string{"$date": time.Now().Format("2006-01-02T15:04:05.000-07:00")},
		severity, "CONTROL", id, "initandlisten", message, attributes,
	})
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stdout, string(line))
}
