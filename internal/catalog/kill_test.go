// This file holds what is left when a process that writes keys is killed.

package catalog

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// writeEnv makes this test binary, started as a child, write keys of one
// connection until it is killed. It is the driver, where the database is, and
// the file that stands for a store, one a line.
const writeEnv = "CATALOG_TEST_WRITE"

// writeForEver says after each step that it was done.
func writeForEver(env string) error {
	at := strings.Split(env, "\n")
	ctx := context.Background()
	db, err := Open(ctx, Config{Driver: at[0], Path: at[1], URL: secret.New(at[1])})
	if err != nil {
		return err
	}
	for {
		version, err := stored(at[2])
		if err != nil {
			return err
		}
		row, err := db.Connection(ctx, "acme", "cust-1")
		if err != nil {
			row = aConnection("acme", "cust-1")
		}
		row.Fingerprint = fmt.Sprint("of ", version+1)
		p := &PendingKey{Integration: "acme", ID: "cust-1", Version: version, Row: row}
		if err := db.BeginKeyWrite(ctx, p); err != nil {
			return err
		}
		fmt.Println("begun")
		if err := os.WriteFile(at[2]+".new", []byte(strconv.Itoa(version+1)), 0o600); err != nil {
			return err
		}
		if err := os.Rename(at[2]+".new", at[2]); err != nil {
			return err
		}
		fmt.Println("stored")
		if err := db.FinishKeyWrite(ctx, p, version+1); err != nil {
			return err
		}
		fmt.Println("finished")
	}
}

// stored returns the version that the store has.
func stored(path string) (int, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

func TestAKilledWriterLeavesNothingThatTheSweepCannotEnd(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		file := filepath.Join(t.TempDir(), "store")
		s.now = time.Now().Add(time.Hour) // after what the child, which has the real clock, began
		for kill := range 9 {             // after each of the steps, first and further ones
			writeAndDie(t, strings.Join([]string{s.driver, s.path + s.url, file}, "\n"), kill+1)
			db := s.open()
			version, err := stored(file)
			must(t, err)
			pending, err := db.PendingKeys(t.Context(), 0)
			must(t, err)
			for _, p := range pending {
				must(t, db.ResolveKeyWrite(t.Context(), p, version))
			}
			if version > 0 {
				if c := mustRead(t, db, "acme", "cust-1"); c.KeyVersion != version || c.Fingerprint != fmt.Sprint("of ", version) {
					t.Fatalf("the store has version %d, the row is %+v", version, c)
				}
			}
			must(t, db.Close())
		}
	})
}

// writeAndDie runs a writer and kills it after it has done some steps.
func writeAndDie(t *testing.T, env string, steps int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), writeEnv+"="+env)
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewScanner(stdout)
	for range steps {
		if !lines.Scan() {
			t.Error("the writer ended by itself")
			break
		}
	}
	must(t, child.Process.Kill())
	_ = child.Wait()
}
