//! The macros that turn a list of numbered fields into a struct, its accessors and its encoding.

/// Defines a message. Each line is `shape name: Type = number, accessors...;` where the shape says
/// which accessors there are:
/// - `plain` (copied): `get_x`, `set_x`;
/// - `bytes`: `get_x`, `set_x`, `mut_x`, `take_x`;
/// - `list`: the same, of a vector of the type;
/// - `nested`: the same and `has_x`; a private field, absent until it is touched.
macro_rules! message {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$field_doc:meta])* $shape:ident $field:ident: $type:ty = $number:literal,
              $($accessor:ident),+;)+
        }
    ) => {
        message!(@struct [$(#[$doc])*] $name [] $([$(#[$field_doc])*] $shape $field $type,)+);

        impl $name {
            $(accessors!($shape $field $type, $($accessor),+);)+
        }

        impl $crate::wire::Record for $name {
            fn fields_size(&self) -> usize {
                0 $(+ $crate::wire::Field::size(&self.$field, $number))+
            }

            fn write_fields(&self, out: &mut Vec<u8>) {
                $($crate::wire::Field::write(&self.$field, $number, out);)+
            }

            fn read_field(
                &mut self,
                number: u64,
                kind: $crate::wire::Kind,
                from: &mut $crate::wire::Reader,
            ) -> ::protobuf::ProtobufResult<bool> {
                match number {
                    $($number => $crate::wire::Field::read(&mut self.$field, kind, from)?,)+
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }

        impl ::protobuf::Message for $name {
            fn compute_size(&self) -> u32 {
                u32::try_from($crate::wire::Record::fields_size(self)).unwrap_or(u32::MAX)
            }

            fn write_to_vec(&self, out: &mut Vec<u8>) -> ::protobuf::ProtobufResult<()> {
                $crate::wire::Record::write_fields(self, out);
                Ok(())
            }

            fn merge_from_bytes(&mut self, bytes: &[u8]) -> ::protobuf::ProtobufResult<()> {
                let mut reader = $crate::wire::Reader::new(bytes);
                $crate::wire::Record::read_fields(self, &mut reader)
            }
        }
    };
    (@struct [$(#[$doc:meta])*] $name:ident [$($done:tt)*]) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($done)* }
    };
    (@struct $doc:tt $name:ident [$($done:tt)*]
        [$(#[$field_doc:meta])*] list $field:ident $type:ty, $($rest:tt)*) => {
        message!(@struct $doc $name
            [$($done)* $(#[$field_doc])* pub $field: Vec<$type>,] $($rest)*);
    };
    (@struct $doc:tt $name:ident [$($done:tt)*]
        [$(#[$field_doc:meta])*] nested $field:ident $type:ty, $($rest:tt)*) => {
        message!(@struct $doc $name
            [$($done)* $(#[$field_doc])* $field: Option<Box<$type>>,] $($rest)*);
    };
    (@struct $doc:tt $name:ident [$($done:tt)*]
        [$(#[$field_doc:meta])*] $shape:ident $field:ident $type:ty, $($rest:tt)*) => {
        message!(@struct $doc $name
            [$($done)* $(#[$field_doc])* pub $field: $type,] $($rest)*);
    };
}

/// The accessors of one field, see [`message`].
macro_rules! accessors {
    (plain $field:ident $type:ty, $get:ident, $set:ident) => {
        #[doc = concat!("The value of `", stringify!($field), "`.")]
        #[must_use]
        pub fn $get(&self) -> $type {
            self.$field
        }

        #[doc = concat!("Replaces `", stringify!($field), "`.")]
        pub fn $set(&mut self, value: $type) {
            self.$field = value;
        }
    };
    (bytes $field:ident $type:ty, $get:ident, $($change:ident),+) => {
        accessors!(@owned $field $type, [u8], $get, $($change),+);
    };
    (list $field:ident $type:ty, $get:ident, $($change:ident),+) => {
        accessors!(@owned $field Vec<$type>, [$type], $get, $($change),+);
    };
    (@owned $field:ident $type:ty, $slice:ty,
        $get:ident, $set:ident, $change:ident, $take:ident) => {
        #[doc = concat!("The content of `", stringify!($field), "`.")]
        #[must_use]
        pub fn $get(&self) -> &$slice {
            &self.$field
        }

        #[doc = concat!("Replaces `", stringify!($field), "`.")]
        pub fn $set(&mut self, value: $type) {
            self.$field = value;
        }

        #[doc = concat!("Access to `", stringify!($field), "` for changing it.")]
        pub fn $change(&mut self) -> &mut $type {
            &mut self.$field
        }

        #[doc = concat!("Moves `", stringify!($field), "` out and leaves it empty.")]
        #[must_use]
        pub fn $take(&mut self) -> $type {
            std::mem::take(&mut self.$field)
        }
    };
    (nested $field:ident $type:ty,
        $get:ident, $set:ident, $change:ident, $take:ident, $has:ident) => {
        #[doc = concat!("The content of `", stringify!($field), "`, empty if it is absent.")]
        #[must_use]
        pub fn $get(&self) -> &$type {
            static ABSENT: std::sync::LazyLock<$type> = std::sync::LazyLock::new(<$type>::default);
            match &self.$field {
                Some(value) => value,
                None => &ABSENT,
            }
        }

        #[doc = concat!("Replaces `", stringify!($field), "`.")]
        pub fn $set(&mut self, value: $type) {
            self.$field = Some(Box::new(value));
        }

        #[doc = concat!("Access to `", stringify!($field), "`, which is present afterwards.")]
        pub fn $change(&mut self) -> &mut $type {
            self.$field.get_or_insert_default()
        }

        #[doc = concat!("Moves `", stringify!($field), "` out and leaves it absent.")]
        #[must_use]
        pub fn $take(&mut self) -> $type {
            self.$field.take().map_or_else(Default::default, |value| *value)
        }

        #[doc = concat!("Whether `", stringify!($field), "` is present.")]
        #[must_use]
        pub fn $has(&self) -> bool {
            self.$field.is_some()
        }
    };
}

/// Defines an enumeration whose first variant is the default, with its encoding.
macro_rules! enumeration {
    (
        $(#[$doc:meta])*
        $name:ident {
            $(#[$first_doc:meta])* $first:ident = 0,
            $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[$first_doc])* #[default] $first = 0,
            $($(#[$variant_doc])* $variant = $number,)+
        }

        impl $crate::wire::Field for $name {
            fn size(&self, number: u64) -> usize {
                (*self as u64).size(number)
            }

            fn write(&self, number: u64, out: &mut Vec<u8>) {
                (*self as u64).write(number, out);
            }

            fn read(
                &mut self,
                kind: $crate::wire::Kind,
                from: &mut $crate::wire::Reader,
            ) -> ::protobuf::ProtobufResult<()> {
                let mut value = 0u64;
                value.read(kind, from)?;
                *self = match value {
                    0 => Self::$first,
                    $($number => Self::$variant,)+
                    _ => return Err(::protobuf::WireError::InvalidEnumValue(value).into()),
                };
                Ok(())
            }
        }
    };
}
