package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type job struct {
	id     string
	body   []byte
	code   string // that its dead letter has; empty: it is a good one
	stores string // record and name of what it stores
	verify func(t *testing.T)
}

type object = map[string]any

// jobs are 300 good ones and 40 bad ones, of all operations, in turn.
func (b *bench) jobs() []job {
	e, files := b.emulator, filepath.Join(b.dir, "files")
	record := e.Record(b.T, "Contacts", "normal")
	locked := e.Record(b.T, "Contacts", "locked")
	e.Ask(b.T, "PATCH", "settings", object{"locked_blocks_attachments": true, "concurrency": limit}, nil)
	portrait, err := os.ReadFile("../../tests/emulator/fixtures/portrait.png")
	check(b.T, err)
	check(b.T, os.WriteFile(filepath.Join(files, "portrait.png"), portrait, 0o600))

	var kinds [][]job
	kind := func(n int, make func(i int) job) {
		var jobs []job
		for i := range n {
			jobs = append(jobs, make(i))
		}
		kinds = append(kinds, jobs)
	}
	step := func(operation, record string, more object) []byte {
		more["operation"], more["module"], more["record_id"] = operation, "Contacts", record
		return must(json.Marshal(more))
	}
	kind(120, func(i int) job {
		name := fmt.Sprintf("file %d.txt", i)
		check(b.T, os.WriteFile(filepath.Join(files, name), bytes.Repeat([]byte(name+"\n"), 1+i*10), 0o600))
		return job{body: step("attachment.upload", record, object{"source": object{"path": filepath.Join(files, name)}}), stores: record + "/" + name}
	})
	kind(50, func(i int) job {
		name := fmt.Sprintf("note %d.txt", i)
		content := base64.StdEncoding.EncodeToString([]byte("a small file, number " + name))
		return job{body: step("attachment.upload", record, object{"source": object{"base64": content, "name": name}}), stores: record + "/" + name}
	})
	kind(30, func(i int) job {
		title := fmt.Sprintf("link %d", i)
		source := object{"url": fmt.Sprintf("https://www.example.org/%d", i), "title": title}
		return job{body: step("attachment.upload", record, object{"source": source}), stores: record + "/" + title}
	})
	kind(15, func(int) job {
		record := e.Record(b.T, "Contacts", "normal")
		return job{body: step("photo.upload", record, object{"source": object{"path": filepath.Join(files, "portrait.png")}}), verify: func(t *testing.T) {
			var got []byte
			e.Ask(t, "GET", "records/Contacts/"+record+"/photo", nil, &got)
			if sha256.Sum256(got) != sha256.Sum256(portrait) {
				t.Errorf("the photo of %s has %d bytes, not those of the file", record, len(got))
			}
		}}
	})
	kind(15, func(i int) job {
		record := e.Record(b.T, "Contacts", "normal")
		e.Ask(b.T, "PUT", "records/Contacts/"+record+"/photo", portrait, nil)
		path := filepath.Join(files, fmt.Sprintf("photo %d.png", i))
		return job{body: step("photo.download", record, object{"sink": object{"path": path, "overwrite": true}}), verify: holds(path, string(portrait))}
	})
	kind(10, func(int) job {
		record := e.Record(b.T, "Contacts", "normal")
		e.Ask(b.T, "PUT", "records/Contacts/"+record+"/photo", portrait, nil)
		return job{body: step("photo.delete", record, object{}), verify: func(t *testing.T) {
			var world struct {
				Organisations []struct {
					Records []struct {
						ID    string
						Photo *string
					}
				}
			}
			e.Ask(t, "GET", "world", nil, &world)
			for _, r := range world.Organisations[0].Records {
				if r.ID == record && r.Photo != nil {
					t.Errorf("%s still has its photo", record)
				}
			}
		}}
	})
	kind(25, func(i int) job {
		record := e.Record(b.T, "Contacts", "normal")
		content := strings.Repeat("to be downloaded\n", 1+i)
		path := filepath.Join(files, fmt.Sprintf("download %d", i))
		id := e.Attach(b.T, "Contacts", record, "a.txt", content)
		return job{
			body:   step("attachment.download", record, object{"attachment_id": id, "sink": object{"path": path, "overwrite": true}}),
			verify: holds(path, content),
		}
	})
	kind(20, func(i int) job {
		record := e.Record(b.T, "Contacts", "normal")
		gone, stays := e.Attach(b.T, "Contacts", record, "gone.txt", "x"), e.Attach(b.T, "Contacts", record, "stays.txt", "x")
		ids, left := []string{gone}, "[stays.txt]"
		if i%2 == 0 {
			ids, left = []string{gone, stays}, "[]"
		}
		return job{body: step("attachment.delete", record, object{"attachment_ids": ids}), verify: func(t *testing.T) {
			if names := fmt.Sprint(e.Names(t, "Contacts", record)); names != left {
				t.Errorf("%s has %s, want %s", record, names, left)
			}
		}}
	})
	kind(15, func(int) job { return job{body: step("attachment.list", record, object{})} })

	kind(8, func(i int) job {
		return job{body: step("attachment.upload", fmt.Sprint(999000+i), object{"source": object{"base64": "eA==", "name": "bad.txt"}}), code: "INVALID_DATA"}
	})
	kind(5, func(int) job {
		return job{body: step("attachment.upload", locked, object{"source": object{"base64": "eA==", "name": "bad.txt"}}), code: "RECORD_LOCKED"}
	})
	kind(5, func(int) job {
		return job{body: step("attachment.upload", record, object{"source": object{"path": "/etc/passwd"}}), code: "ARGUMENT"}
	})
	kind(5, func(i int) job {
		return job{body: step("attachment.upload", record, object{"source": object{"path": filepath.Join(files, fmt.Sprint("absent", i))}}), code: "IO"}
	})
	kind(4, func(int) job {
		return job{body: step("attachment.download", record, object{"attachment_id": "404404", "sink": object{"base64": true}}), code: "NOT_FOUND"}
	})
	kind(4, func(int) job {
		return job{body: []byte(`{"operation":"attachment.list","module":"Contacts","record_id":2876819000001234006}`), code: "ARGUMENT"}
	})
	kind(3, func(int) job { return job{body: step("attachment.rename", record, object{}), code: "ARGUMENT"} })
	kind(3, func(int) job { return job{body: []byte(`{"operation": "attachment.up`), code: "ARGUMENT"} })
	kind(3, func(int) job {
		return job{body: step("photo.download", e.Record(b.T, "Contacts", "normal"), object{"sink": object{"base64": true}}), code: "NOT_FOUND"}
	})

	return mixed(kinds)
}

// mixed takes from each kind in turn, in proportion.
func mixed(kinds [][]job) (jobs []job) {
	const rounds = 10
	for round := range rounds {
		for _, kind := range kinds {
			jobs = append(jobs, kind[len(kind)*round/rounds:len(kind)*(round+1)/rounds]...)
		}
	}
	for i := range jobs {
		jobs[i].id = fmt.Sprintf("job-%d", i)
	}
	return jobs
}

func holds(path, content string) func(t *testing.T) {
	return func(t *testing.T) {
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%s has %d bytes, want %d: %v", path, len(got), len(content), err)
		}
	}
}
