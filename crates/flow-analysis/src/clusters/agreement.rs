//! Agreement of clusters with labels.
//!
//! ```text
//! purity = Σ_clusters max_labels n(cluster, label) / N
//! NMI    = 2·I(clusters; labels) / (H(clusters) + H(labels))
//! ```

use std::collections::BTreeMap;

use serde::Serialize;

/// Two measures of how far clusters agree with labels: 0 to 1 both, 1 where each cluster is a
/// class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The share of images with the most frequent label of their cluster.
    pub purity: f64,
    /// Mutual information over the mean of the entropies; 1 if there is one cluster and one label.
    pub nmi: f64,
}

impl Agreement {
    /// Of clusters and labels of the same images, one or more.
    pub fn of(clusters: &[usize], labels: &[usize]) -> Self {
        let n = clusters.len() as f64;
        let pairs = count(clusters.iter().copied().zip(labels.iter().copied()));
        let by_cluster = count(clusters.iter().copied());
        let by_label = count(labels.iter().copied());

        let mut largest = BTreeMap::new();
        for (&(cluster, _), &images) in &pairs {
            let most = largest.entry(cluster).or_insert(0);
            *most = images.max(*most);
        }
        let share = |images: usize| images as f64 / n;
        let information = pairs.iter().map(|((cluster, label), &images)| {
            let independent = share(by_cluster[cluster]) * share(by_label[label]);
            share(images) * (share(images) / independent).ln()
        });
        let information = information.sum::<f64>();
        let entropy = |counts: &BTreeMap<usize, usize>| {
            let terms = counts.values().map(|&images| share(images));
            -terms.map(|share| share * share.ln()).sum::<f64>()
        };
        let mean = f64::midpoint(entropy(&by_cluster), entropy(&by_label));
        Self {
            purity: largest.values().sum::<usize>() as f64 / n,
            nmi: if mean > 0.0 {
                (information / mean).clamp(0.0, 1.0)
            } else {
                1.0
            },
        }
    }
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Made by scikit-learn: see the README beside the file.
    const REFERENCE: &str = include_str!("../../../../assets/reference/clusters.json");

    #[derive(Deserialize)]
    struct Case {
        clusters: Vec<usize>,
        labels: Vec<usize>,
        purity: f64,
        nmi: f64,
    }

    #[test]
    fn scikit_learn_finds_the_same() {
        let cases: Vec<Case> = serde_json::from_str(REFERENCE).unwrap();
        assert!(cases.len() >= 8);
        for (i, case) in cases.iter().enumerate() {
            let found = Agreement::of(&case.clusters, &case.labels);
            assert!((found.purity - case.purity).abs() < 1e-12, "{i}: {found:?}");
            assert!((found.nmi - case.nmi).abs() < 1e-12, "{i}: {found:?}");
        }
    }
}
