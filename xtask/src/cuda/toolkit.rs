//! NVIDIA's compiler: installed, or fetched as Python wheels.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

/// The compiler, and what it and the linker read. Newer ones write code that driver 580 does not
/// load.
const WHEELS: [&str; 5] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cuda-runtime==13.0.96",
];

const NVCC: &str = if cfg!(windows) { "nvcc.exe" } else { "nvcc" };

/// A folder with `bin/nvcc`, headers and libraries.
pub(super) struct Toolkit(PathBuf);

impl Toolkit {
    /// An installed toolkit, or one made of wheels under `folder`.
    pub(super) fn find_or_fetch(folder: &Path) -> Result<Self> {
        if let Some(home) = installed()? {
            return Ok(Self(home));
        }
        ensure!(
            cfg!(target_os = "linux"),
            "no CUDA toolkit found; install one and set `CUDA_HOME` to its folder"
        );
        fetched(&folder.join("python")).map(Self)
    }

    /// A toolkit that lies in `home`, complete or not.
    pub(super) fn at(home: &Path) -> Self {
        Self(home.to_owned())
    }

    pub(super) fn home(&self) -> &Path {
        &self.0
    }

    pub(super) fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    pub(super) fn nvcc(&self) -> PathBuf {
        self.bin().join(NVCC)
    }
}

/// The toolkit that the environment names, that is on the path, or that lies in the usual place.
fn installed() -> Result<Option<PathBuf>> {
    for name in ["CUDA_HOME", "CUDA_PATH"] {
        if let Some(home) = env::var_os(name).filter(|home| !home.is_empty()) {
            let home = PathBuf::from(home);
            ensure!(
                home.join("bin").join(NVCC).is_file(),
                "`{name}` names `{}`, where there is no `bin/{NVCC}`",
                home.display()
            );
            return Ok(Some(home));
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join(NVCC));
    let usual = PathBuf::from("/usr/local/cuda/bin").join(NVCC);
    let nvcc = on_path.chain([usual]).find(|nvcc| nvcc.is_file());
    // A link on the path leads to where the headers are.
    let home = nvcc.and_then(|nvcc| Some(nvcc.canonicalize().ok()?.parent()?.parent()?.to_owned()));
    Ok(home)
}

/// The wheels in a virtual environment in `python`, fetched unless they are there.
fn fetched(python: &Path) -> Result<PathBuf> {
    if let Some(home) = unpacked(python)? {
        return Ok(home);
    }
    eprintln!("==> no CUDA toolkit found; fetching the compiler (300 MB)");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(python)).context(
        "fetching needs Python with `venv`; or install a CUDA toolkit and set `CUDA_HOME`",
    )?;
    let mut pip = Command::new(python.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
    ]);
    succeed(pip.arg("--disable-pip-version-check").args(WHEELS))?;
    unpacked(python)?
        .with_context(|| format!("the wheels left no compiler in `{}`", python.display()))
}

/// The toolkit in `python`'s packages; the folder in between has the version of Python in its name.
fn unpacked(python: &Path) -> Result<Option<PathBuf>> {
    let lib = python.join("lib");
    if !lib.exists() {
        return Ok(None);
    }
    let entries = fs::read_dir(&lib).with_context(|| format!("cannot read `{}`", lib.display()))?;
    for entry in entries {
        let home = entry?.path().join("site-packages/nvidia/cu13");
        if home.join("bin").join(NVCC).is_file() {
            link_lib64(&home)?;
            return Ok(Some(home));
        }
    }
    Ok(None)
}

/// Build scripts look for libraries where an installed toolkit has them.
fn link_lib64(home: &Path) -> Result<()> {
    let lib64 = home.join("lib64");
    if !lib64.exists() {
        #[cfg(unix)]
        std::os::unix::fs::symlink("lib", &lib64)
            .with_context(|| format!("cannot make the link `{}`", lib64.display()))?;
    }
    Ok(())
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
