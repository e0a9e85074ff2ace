//! Support of other programs for models.

use flow_glow::{Coupling, GlowConfig, ImageShape, Peer, Setting};

#[test]
fn a_model_with_the_own_settings_differs_in_none() {
    let image = ImageShape::new(3, 32, 32);
    for peer in Peer::ALL {
        for config in [
            GlowConfig::small(image),
            GlowConfig::base(image),
            GlowConfig::paper(image),
        ] {
            for coupling in [Coupling::Affine, Coupling::Additive] {
                let config = peer.adapt(GlowConfig {
                    coupling,
                    ..config.clone()
                });
                config.validate().unwrap();
                assert_eq!(peer.differences(&config), [], "{peer:?} {config:?}");
            }
        }
    }
}

#[test]
fn what_nothing_makes_up_for_is_listed_at_once() {
    use Setting::{Padding, ScaleMap, TopPrior};
    let image = ImageShape::new(1, 28, 28);
    let (small, paper) = (GlowConfig::small(image), GlowConfig::paper(image));
    let classes = GlowConfig {
        classes: Some(10),
        ..small.clone()
    };
    let of = |peer: Peer, config| peer.obstacles(config);
    assert_eq!(of(Peer::Nflows, &small), []);
    assert_eq!(of(Peer::Nflows, &classes), []);
    assert_eq!(of(Peer::Nflows, &paper), [ScaleMap, Setting::AffineOrder]);
    for config in [&small, &classes, &paper] {
        assert_eq!(of(Peer::Normflows, config), []);
    }
    let peer = Peer::Rosinality;
    assert_eq!(of(peer, &small), [ScaleMap, Padding, TopPrior]);
    assert_eq!(of(peer, &paper), [Padding]);
    assert_eq!(
        of(peer, &classes),
        [ScaleMap, Padding, TopPrior, Setting::Classes]
    );
}
