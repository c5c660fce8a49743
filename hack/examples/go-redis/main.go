// Command visits counts visits in Redis, whose protocol is simple enough to need no
// library for that.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

// incr counts one more visit, and returns how many there are.
func incr(address, key string) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "INCR %s\r\n", key)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(line, ":") {
		return "", fmt.Errorf("redis says %q", line)
	}
	return strings.TrimSpace(line[1:]), nil
}

func main() {
	redis := os.Getenv("REDIS")
	http.HandleFunc("/{ship}", func(w http.ResponseWriter, r *http.Request) {
		n, err := incr(redis, r.PathValue("ship"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, n)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
