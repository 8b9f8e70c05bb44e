//! Pillow's own test pictures as an oracle: what `Image.open` opens is a picture, of the size that it says.
//!
//! The pictures are fetched by pip into the directory of the build, with Pillow itself. Where that can't be done the test is left out, and says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use zcrm::{Call, File, Result, Status, photo};

use crate::support::{World, why, world_with};

const VERSION: &str = "11.3.0";

/// Prints a line for each picture that Pillow opens: path, width, height.
const OPEN: &str = r#"
import json, os, sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
from PIL import Image
for folder, _, names in os.walk(sys.argv[2]):
    for name in sorted(names):
        path = os.path.join(folder, name)
        try:
            with Image.open(path) as picture:
                if picture.format in ("PNG", "JPEG", "MPO", "GIF", "BMP"):
                    print(json.dumps([path, picture.width, picture.height]))
        except Exception:
            pass
"#;

/// Unpacks the pictures of the source distribution.
const UNPACK: &str = r#"
import sys, tarfile
with tarfile.open(sys.argv[1]) as sdist:
    for member in sdist:
        if "/Tests/images/" in member.name and member.isfile():
            sdist.extract(member, sys.argv[2], **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
"#;

fn python(arguments: &[&str]) -> Option<String> {
    let output = Command::new("python3").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Path, width and height of each picture; `None` where they can't be read.
fn pictures() -> Option<Vec<(PathBuf, u64, u64)>> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pillow-{VERSION}"));
    let (site, sdist, whole) = (home.join("site"), home.join("sdist"), home.join("whole"));
    let (site_text, sdist_text) = (site.to_str()?, sdist.to_str()?);
    if !whole.exists() {
        let requirement = format!("pillow=={VERSION}");
        let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check"];
        python(&[&pip[..], &["install", "--no-deps", "--target", site_text, &requirement]].concat())?;
        python(&[&pip[..], &["download", "--no-deps", "--no-binary", ":all:", "--dest", sdist_text, &requirement]].concat())?;
        let archive = sdist.join(format!("pillow-{VERSION}.tar.gz"));
        python(&["-c", UNPACK, archive.to_str()?, sdist_text])?;
        std::fs::write(whole, "").ok()?;
    }
    let listed = python(&["-c", OPEN, site_text, sdist_text])?;
    let picture = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line[0].as_str().unwrap().into(), line[1].as_u64().unwrap(), line[2].as_u64().unwrap())
    };
    Some(listed.lines().map(picture).collect())
}

fn portray(w: &World, bytes: &[u8]) -> Result<()> {
    photo::upload(&w.client, &w.contact, File::memory("picture", bytes), Call::default()).map(drop)
}

#[test]
fn what_pillow_opens_is_sent_within_the_limits_and_refused_beyond_them() {
    let Some(pictures) = pictures() else {
        // Not by println: the harness would keep it to itself.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: Pillow's test pictures can't be fetched (python3 with pip, and a package index, are needed)");
        return;
    };
    assert!(pictures.len() > 200, "{} pictures", pictures.len());
    let (mut sent, mut wrong) = (0, Vec::new());
    for (path, width, height) in &pictures {
        let (bytes, pixels) = (std::fs::read(path).unwrap(), width * height);
        if bytes.len() > 10 << 20 || pixels < 2 {
            continue;
        }
        // The limits of Zoho, and others that lie to both sides of the picture.
        let (at, below) = (pixels.to_string(), (pixels - 1).to_string());
        for limit in ["10000000", &at, &below] {
            let w = world_with(&[("photo_max_pixels", limit)]);
            let refused = pixels > limit.parse().unwrap();
            match portray(&w, &bytes) {
                Ok(()) if !refused => sent += 1,
                Err(error) if refused && why::<()>(Err(error.clone())) == (Status::TooLarge, "photo_pixels") => {}
                // Beyond Zoho's own limit the emulator refuses what was sent.
                Err(error) if !refused && pixels > 10_000_000 && error.detail().http_status != 0 => sent += 1,
                outcome => wrong.push(format!("{}, {width}×{height}, at most {limit}: {:?}", path.display(), outcome.map_err(|e| e.to_string()))),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} pictures:\n{}", wrong.len(), pictures.len(), wrong.join("\n"));
    println!("{} pictures, {sent} sent", pictures.len());
}
