//! The page, inside the binary: it works offline and from a fresh clone.

/// One file as it is served.
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $file:literal $content_type:literal;)*) => {
        pub(crate) const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../assets/", $file)),
        },)*];
    };
}

assets! {
    "/" "index.html" "text/html; charset=utf-8";
    "/app.js" "app.js" "text/javascript; charset=utf-8";
    "/style.css" "style.css" "text/css; charset=utf-8";
    "/icon.svg" "icon.svg" "image/svg+xml";
    "/uplot/uPlot.iife.min.js" "uplot/uPlot.iife.min.js" "text/javascript; charset=utf-8";
    "/uplot/uPlot.min.css" "uplot/uPlot.min.css" "text/css; charset=utf-8";
    "/uplot/LICENSE" "uplot/LICENSE" "text/plain; charset=utf-8";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for asset in ASSETS.iter().filter(|asset| asset.path != "/uplot/LICENSE") {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            // The namespaces of SVG and XML look like addresses, but nothing is fetched from them.
            let text = text.replace("http://www.w3.org/", "");
            let comment_free = match asset.path.starts_with("/uplot/") {
                // Its first line names its home page in a comment.
                true => text.split_once("*/").map_or(text.as_str(), |(_, code)| code).to_owned(),
                false => text,
            };
            for foreign in ["http://", "https://", "src=\"//", "href=\"//", "url(//"] {
                assert!(!comment_free.contains(foreign), "{} refers to {foreign}", asset.path);
            }
        }
    }

    #[test]
    fn the_page_asks_only_for_what_is_served() {
        let page = std::str::from_utf8(ASSETS[0].bytes).unwrap();
        let references =
            page.split("=\"").filter(|text| !text.starts_with('#')).filter_map(|text| text.split('"').next());
        let files: Vec<&str> = references
            .filter(|text| text.ends_with(".js") || text.ends_with(".css") || text.ends_with(".svg"))
            .collect();
        assert!(files.len() >= 4, "{files:?}");
        for file in files {
            assert!(
                ASSETS.iter().any(|asset| asset.path.trim_start_matches('/') == file),
                "{file} is not served"
            );
        }
    }
}
