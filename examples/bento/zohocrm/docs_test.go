package zohocrm

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/warpstreamlabs/bento/public/service"
)

var update = flag.Bool("update", false, "write docs/")

func TestDocsAreThoseOfTheCode(t *testing.T) {
	env := service.GlobalEnvironment()
	for name, get := range map[string]func(string) (*service.ConfigView, bool){
		"zoho_crm_file": env.GetProcessorConfig, "zoho_crm_jobs": env.GetInputConfig, "zoho_crm_attachments": env.GetInputConfig,
		"zoho_crm_upload": env.GetOutputConfig, "zoho_crm_bucket": env.GetCacheConfig,
	} {
		view, known := get(name)
		if !known {
			t.Fatalf("the engine doesn't know %s", name)
		}
		rendered, err := view.RenderDocs()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("..", "docs", name+".md")
		rendered = plain(name, rendered)
		if *update {
			if err := os.WriteFile(path, rendered, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if committed, err := os.ReadFile(path); err != nil || !bytes.Equal(committed, rendered) {
			t.Errorf("%s is not what the code says (%v): make generated", path, err)
		}
	}
}

var tab = regexp.MustCompile(`^<TabItem value="(.*?)".*>$`)

// plain turns what the engine renders for its own site into a page by itself: without front matter, tabs and admonitions.
func plain(name string, doc []byte) []byte {
	_, text, _ := strings.Cut(string(doc), "\n-->\n")
	lines := []string{"# " + name, ""}
	admonition := false
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " ")
		trimmed := strings.TrimSpace(line)
		switch title := tab.FindStringSubmatch(trimmed); {
		case strings.HasPrefix(line, ":::"):
			admonition = !admonition
		case title != nil && title[1] != "common" && title[1] != "advanced":
			lines = append(lines, "### "+title[1])
		case admonition, title != nil, strings.HasPrefix(trimmed, "import "), strings.HasPrefix(trimmed, "<Tabs"), strings.HasPrefix(trimmed, "</Tab"),
			strings.HasPrefix(trimmed, "{ label:"), trimmed == "]}>", line == "" && lines[len(lines)-1] == "":
		default:
			lines = append(lines, strings.ReplaceAll(line, "](/docs/", "](https://warpstreamlabs.github.io/bento/docs/"))
		}
	}
	return []byte(strings.TrimSpace(strings.Join(lines, "\n")) + "\n")
}
