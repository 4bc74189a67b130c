//! The table of a record's layout, from which both ways are made.

/// Makes the encoding of records and enums from tables like those of docs/FORMAT.md.
///
/// A newtype: what it wraps. A record: its fields in order; behind a semicolon its tail, tag and field,
/// by rising tag, then the field that keeps unknown ones (`.. unknown`), or the box with the fields that
/// few have, tags rising on. A tag that a later version brought says so (`12 @ 2 name`). An enum:
/// number, variant, and the same for its fields; a variant that a later version brought says so (`3 @ 2
/// Name`).
macro_rules! layout {
    // What is encoded as the value that it wraps.
    (newtype $($name:ident),*) => {
        $(impl $crate::base::wire::Wire for $name {
            #[inline]
            fn put(&self, sink: &mut $crate::base::wire::Sink) {
                $crate::base::wire::Wire::put(&self.0, sink);
            }

            #[inline]
            fn take(
                source: &mut $crate::base::wire::Source<'_>,
            ) -> Result<Self, $crate::base::wire::DecodeError> {
                $crate::base::wire::Wire::take(source).map(Self)
            }
        })*
    };
    // A record without a tail.
    (record $name:ident $inside:literal { $($field:ident),* $(,)? }) => {
        impl $crate::base::wire::Wire for $name {
            #[inline]
            fn put(&self, sink: &mut $crate::base::wire::Sink) {
                $($crate::base::wire::Wire::put(&self.$field, sink);)*
            }

            #[inline]
            fn take(
                source: &mut $crate::base::wire::Source<'_>,
            ) -> Result<Self, $crate::base::wire::DecodeError> {
                source.record($inside, |source| {
                    $(let $field = $crate::base::wire::Wire::take(source)?;)*
                    Ok(Self { $($field),* })
                })
            }
        }
    };
    // A record with a tail, which keeps what it does not know.
    (record $name:ident $inside:literal {
        $($field:ident),* ;
        $($(#[$cfg:meta])* $tag:literal $(@ $since:literal)? $late:ident),* ; .. $unknown:ident
    }) => {
        impl $crate::base::wire::Wire for $name {
            fn put(&self, sink: &mut $crate::base::wire::Sink) {
                $($crate::base::wire::Wire::put(&self.$field, sink);)*
                $crate::base::wire::layout!(@put sink, $inside, self.$unknown.as_slice();
                    $($(#[$cfg])* $tag ($($since)?) &self.$late),*);
            }

            fn take(
                source: &mut $crate::base::wire::Source<'_>,
            ) -> Result<Self, $crate::base::wire::DecodeError> {
                source.record($inside, |source| {
                    $(let $field = $crate::base::wire::Wire::take(source)?;)*
                    $($(#[$cfg])* let mut $late = Default::default();)*
                    let $unknown = $crate::base::wire::layout!(@take source;
                        $($(#[$cfg])* $tag ($($since)?) $late),*)?.into();
                    Ok(Self { $($field,)* $($(#[$cfg])* $late,)* $unknown })
                })
            }
        }
    };
    // A record that keeps what few have of its tail in a box, with what it does not know.
    (record $name:ident $inside:literal {
        $($field:ident),* ;
        $($tag:literal $late:ident),* ;
        $details:ident: $detail:ident
            { $($(#[$cfg:meta])* $kept_tag:literal $(@ $since:literal)? $kept:ident),* $(,)? }
    }) => {
        impl $crate::base::wire::Wire for $name {
            fn put(&self, sink: &mut $crate::base::wire::Sink) {
                $($crate::base::wire::Wire::put(&self.$field, sink);)*
                let detail = &*self.$details;
                $crate::base::wire::layout!(@put sink, $inside, detail.unknown.as_slice();
                    $($tag () &self.$late,)*
                    $($(#[$cfg])* $kept_tag ($($since)?) &detail.$kept),*);
            }

            fn take(
                source: &mut $crate::base::wire::Source<'_>,
            ) -> Result<Self, $crate::base::wire::DecodeError> {
                source.record($inside, |source| {
                    $(let $field = $crate::base::wire::Wire::take(source)?;)*
                    $(let mut $late = Default::default();)*
                    let mut detail = $detail::default();
                    detail.unknown = $crate::base::wire::layout!(@take source;
                        $($tag () $late,)*
                        $($(#[$cfg])* $kept_tag ($($since)?) detail.$kept),*)?.into();
                    Ok(Self { $($field,)* $($late,)* $details: detail.into() })
                })
            }
        }
    };
    // An enum whose variants have no tails.
    (enum $name:ident $inside:literal {
        $($(#[$cfg:meta])* $number:literal $(@ $since:literal)? $variant:ident
            $({ $($field:ident),* })? $(( $value:ident ))?),* $(,)?
    }) => {
        impl $crate::base::wire::Wire for $name {
            fn put(&self, sink: &mut $crate::base::wire::Sink) {
                match self {
                    $($(#[$cfg])* Self::$variant $({ $($field),* })? $(($value))? => {
                        $(sink.since($since);)?
                        sink.number($number);
                        $($($crate::base::wire::Wire::put($field, sink);)*)?
                        $($crate::base::wire::Wire::put($value, sink);)?
                    })*
                }
            }

            fn take(
                source: &mut $crate::base::wire::Source<'_>,
            ) -> Result<Self, $crate::base::wire::DecodeError> {
                source.record($inside, |source| match source.number(u64::from(u32::MAX))? {
                    $($(#[$cfg])* $number => {
                        $(source.since($since);)?
                        $($(let $field = $crate::base::wire::Wire::take(source)?;)*)?
                        $(let $value = $crate::base::wire::Wire::take(source)?;)?
                        Ok(Self::$variant $({ $($field),* })? $(($value))?)
                    })*
                    number => Err(source.no_variant(number)),
                })
            }
        }
    };
    // An enum each of whose variants has a tail; what is unknown in one is left over.
    (tailed enum $name:ident {
        $($(#[$cfg:meta])* $number:literal $(@ $since:literal)? $inside:literal $variant:ident {
            $($field:ident),* ; $($(#[$late_cfg:meta])* $tag:literal $(@ $late_since:literal)? $late:ident),*
        })*
    }) => {
        impl $crate::base::wire::Wire for $name {
            fn put(&self, sink: &mut $crate::base::wire::Sink) {
                match self {
                    $($(#[$cfg])* Self::$variant { $($field,)* $($(#[$late_cfg])* $late),* } => {
                        $(sink.since($since);)?
                        sink.number($number);
                        $($crate::base::wire::Wire::put($field, sink);)*
                        let unknown = core::mem::take(&mut sink.left_over);
                        $crate::base::wire::layout!(@put sink, $inside, unknown.as_slice();
                            $($(#[$late_cfg])* $tag ($($late_since)?) $late),*);
                    })*
                }
            }

            fn take(
                source: &mut $crate::base::wire::Source<'_>,
            ) -> Result<Self, $crate::base::wire::DecodeError> {
                match source.number(u64::from(u32::MAX))? {
                    $($(#[$cfg])* $number => source.record($inside, |source| {
                        $(source.since($since);)?
                        $(let $field = $crate::base::wire::Wire::take(source)?;)*
                        $($(#[$late_cfg])* let mut $late = Default::default();)*
                        let unknown = $crate::base::wire::layout!(@take source;
                            $($(#[$late_cfg])* $tag ($($late_since)?) $late),*)?;
                        source.left_over.extend(unknown);
                        Ok(Self::$variant { $($field,)* $($(#[$late_cfg])* $late),* })
                    }),)*
                    number => Err(source.no_variant(number)),
                }
            }
        }
    };
    // The tail itself.
    (@put $sink:ident, $inside:expr, $unknown:expr;
        $($(#[$cfg:meta])* $tag:literal ($($since:literal)?) $value:expr),*
    ) => {{
        #[allow(unused_mut, reason = "a tail may know no field")]
        let mut unknown: &[$crate::base::wire::UnknownField] = $unknown;
        #[allow(unused_mut, reason = "a tail may know no field")]
        let mut count = unknown.len();
        $($(#[$cfg])* { count += usize::from(!$crate::base::wire::Optional::is_default($value)); })*
        $sink.count(count, $crate::base::limits::TAIL_FIELDS, $inside);
        if count > 0 {
            $($(#[$cfg])* {
                $crate::base::wire::put_unknown(&mut unknown, $tag, $inside, $sink);
                $crate::base::wire::put_field($value, $tag, 1 $(* $since)?, $sink);
            })*
            $crate::base::wire::put_unknown(&mut unknown, u64::MAX, $inside, $sink);
        }
    }};
    (@take $source:ident; $($(#[$cfg:meta])* $tag:literal ($($since:literal)?) $late:expr),*) => {
        $crate::base::wire::known_fields($source, |source, tag, bytes| {
            let _ = (&source, bytes);
            match tag {
                $($(#[$cfg])* $tag => {
                    $late = $crate::base::wire::take_field(source, tag, 1 $(* $since)?, bytes)?;
                })*
                _ => return Ok(false),
            }
            #[allow(unreachable_code, reason = "a tail may know no field")]
            Ok(true)
        })
    };
}

pub(crate) use layout;
