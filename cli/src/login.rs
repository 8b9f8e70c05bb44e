//! `zcrm login`: a profile for every program that uses the library.

use std::collections::BTreeMap;

use serde::Serialize;
use zcrm::auth::{self, Granted};
use zcrm::config::{DEFAULT_PROFILE, KEYS};
use zcrm::{Config, Outcome};

use crate::app::App;
use crate::exit::Stop;
use crate::output::About;
use crate::profiles::{Profiles, is_of_a_login};
use crate::prompt;
use crate::settings::{self, Settings};

/// Log in once, for every program of yours that uses zcrm
///
/// Make a self client in Zoho's API console, https://api-console.zoho.com, and a code there with the scopes
/// ZohoCRM.modules.ALL,ZohoCRM.modules.attachments.ALL. The code is exchanged for a refresh token, which goes into the profile. What isn't
/// given is asked for.
#[derive(clap::Args)]
pub struct Args {
    /// Zoho's data centre that the organisation is in: us, eu, in, au, jp, cn, ca, sa …
    #[arg(long, value_name = "NAME")]
    data_center: Option<String>,
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    #[arg(long, value_name = "SECRET")]
    client_secret: Option<String>,
    /// The code that the console shows, good for one use within minutes
    #[arg(long = "code", value_name = "CODE", conflicts_with_all = ["refresh_token", "access_token"])]
    grant_code: Option<String>,
    /// A refresh token that you have already, in place of a code
    #[arg(long, value_name = "TOKEN")]
    refresh_token: Option<String>,
    /// An access token alone, for a trial: it lasts an hour
    #[arg(long, value_name = "TOKEN", conflicts_with = "refresh_token")]
    access_token: Option<String>,
    /// The redirect URI that the code was made with; a self client has none
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Only tell what would be written and asked for: neither Zoho nor you are asked
    #[arg(long)]
    dry_run: bool,
}

/// Settings by key.
type Login = BTreeMap<String, String>;

pub fn run(args: &Args, app: &App) -> Result<(), Stop> {
    let mut login = args.given(app)?;
    let name = settings::profile_named(&app.common)?.unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    if args.dry_run {
        return would(&name, &login, app);
    }
    args.ask_for_the_rest(&mut login, app)?;
    let profiles = Profiles::open(settings::profiles_named(&app.common).as_deref())?;
    let mut config = Config::new();
    for (key, value) in &login {
        config.set(key, value)?;
    }
    let granted = match grant(&app.heard(config), &login, app) {
        Ok(granted) => granted,
        Err(error) => return app.out.failed(&About::default(), &error),
    };
    if login.remove("grant_code").is_some() {
        login.remove("redirect_uri");
        match granted.as_ref().and_then(|granted| granted.result.refresh_token.as_ref()) {
            Some(token) => drop(login.insert("refresh_token".to_owned(), token.expose().to_owned())),
            None => {
                return Err(Stop::new(
                    "the code gave no refresh token: it was made for online access, or Zoho has given one for it before; make another code",
                ));
            }
        }
    }
    if !login.contains_key("token_file") && login.contains_key("refresh_token") {
        login.extend(settings::token_file(profiles.path()).map(|path| ("token_file".to_owned(), path)));
    }
    let path = profiles.path().to_owned();
    profiles.put(&name, login.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;

    #[derive(Serialize)]
    struct Written<'a> {
        profile: &'a str,
        path: &'a std::path::Path,
        scope: Option<&'a str>,
    }
    let scope = granted.as_ref().and_then(|granted| granted.result.scope.as_deref());
    let scopes = scope.map(|scope| format!("; scopes: {}", zcrm::one_line(scope))).unwrap_or_default();
    app.out.done(&About::default(), Written { profile: &name, path: &path, scope }, || format!("profile {name} is in {}{scopes}", path.display()))
}

/// What would be written, without a value: they are secrets.
fn would(name: &str, login: &Login, app: &App) -> Result<(), Stop> {
    #[derive(Serialize)]
    struct Would<'a> {
        dry_run: bool,
        profile: &'a str,
        path: std::path::PathBuf,
        given: Vec<&'a str>,
        asked_for: Vec<&'a str>,
    }
    let path = Profiles::look(settings::profiles_named(&app.common).as_deref())?;
    let (given, asked_for) = (login.keys().map(String::as_str).collect(), questions(login).map(|question| question.key).collect());
    let would = Would { dry_run: true, profile: name, path, given, asked_for };
    let list = |keys: &[&str]| if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
    let line = || {
        let Would { path, given, asked_for, .. } = &would;
        format!("would write the profile {name} into {}; given: {}; asked for: {}", path.display(), list(given), list(asked_for))
    };
    app.out.done(&About::default(), &would, line)
}

/// What is asked for where it isn't given.
struct Question {
    key: &'static str,
    option: &'static str,
    text: &'static str,
    hidden: bool,
}

const QUESTIONS: &[Question] = &[
    Question { key: "data_center", option: "--data-center", text: "Data centre (us, eu, in, au, jp, cn, ca, sa)", hidden: false },
    Question { key: "client_id", option: "--client-id", text: "Client id", hidden: false },
    Question { key: "client_secret", option: "--client-secret", text: "Client secret (isn't shown)", hidden: true },
    Question { key: "grant_code", option: "--code", text: "Code (isn't shown)", hidden: true },
];

/// Those that this login leaves open.
fn questions(login: &Login) -> impl Iterator<Item = &'static Question> {
    let has = |key: &str| login.contains_key(key);
    QUESTIONS.iter().filter(move |question| match question.key {
        _ if has("access_token") => false,
        "data_center" => !has("data_center") && !has("accounts_url"),
        "grant_code" => !has("grant_code") && !has("refresh_token"),
        key => !has(key),
    })
}

/// Asks Zoho whether it takes the login. An access token alone is not asked about.
fn grant(config: &Config, login: &Login, app: &App) -> zcrm::Result<Option<Outcome<Granted>>> {
    if login.contains_key("grant_code") {
        return auth::exchange(config, app.call()).map(Some);
    }
    if login.contains_key("refresh_token") { auth::ask(config, app.call()).map(Some) } else { Ok(None) }
}

impl Args {
    /// What options say, and what the environment says of who logs in and where.
    fn given(&self, app: &App) -> Result<Login, Stop> {
        let mut login = Login::new();
        let all = Settings { profile: None, absent: None, given: settings::given(&app.common)? };
        all.config()?; // what is wrong is told with its place
        for given in &all.given {
            let group = KEYS.iter().find(|key| key.name == given.key).map_or("", |key| key.group);
            if is_of_a_login(group) || given.from == settings::OPTION {
                login.insert(given.key.clone(), given.value.clone());
            }
        }
        let own = [
            ("data_center", &self.data_center),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("grant_code", &self.grant_code),
            ("refresh_token", &self.refresh_token),
            ("access_token", &self.access_token),
            ("redirect_uri", &self.redirect_uri),
        ];
        let own: Vec<_> = own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect();
        if own.iter().any(|(key, _)| matches!(key.as_str(), "grant_code" | "refresh_token" | "access_token")) {
            ["grant_code", "refresh_token", "access_token"].iter().for_each(|token| drop(login.remove(*token)));
        }
        login.extend(own);
        Ok(login)
    }

    fn ask_for_the_rest(&self, login: &mut Login, app: &App) -> Result<(), Stop> {
        let wanted: Vec<&Question> = questions(login).collect();
        if !prompt::is_there() {
            let options: Vec<&str> = wanted.iter().map(|question| question.option).filter(|option| *option != "--data-center").collect();
            return if options.is_empty() {
                Ok(())
            } else {
                Err(Stop::new(format_args!("nobody is there to be asked; give {}", options.join(", "))))
            };
        }
        for Question { key, text, hidden, .. } in wanted {
            let answer = prompt::ask(text, *hidden, &app.cancel)?;
            if answer.is_empty() && *key == "data_center" {
                continue; // the default
            }
            Config::new().set(key, &answer)?; // before the next one is asked
            login.insert((*key).to_owned(), answer);
        }
        Ok(())
    }
}
