//! The page's own `html!`: Yew's syntax for elements, built by calls of few small functions.
//!
//! Yew's macro writes the building of every element out in place, which for this page comes to a third of the program. This one parses the
//! same text and leaves to [`Tree`] what all elements share. What it knows: elements with attributes, `~style` for the property of that name,
//! `key`, `ref`, listeners, `if` with `else`, `{ expression }`, `{ for iterator }`, `<>...</>` and [`Button`](super::parts::Button). Other
//! components are made with [`mount`].
//!
//! An `if` or a `for` always makes one node, also of nothing: Yew matches children by their place, and what comes after must not move.

use std::rc::Rc;
use wasm_bindgen::JsValue;
use yew::html::{BaseComponent, NodeRef};
use yew::virtual_dom::{AttributeOrProperty, Attributes, Key, Listener, VComp, VList, VNode, VTag, VText};
use yew::{AttrValue, Html};

/// Builds nodes from the outside in: opened, filled, closed.
#[derive(Default)]
pub struct Tree {
    above: Vec<(Option<VTag>, Vec<VNode>)>,
    here: Vec<VNode>,
    head: Head,
}

/// What is known of the element that is opened next.
#[derive(Default)]
struct Head {
    values: Vec<Option<AttributeOrProperty>>,
    listeners: Vec<Option<Rc<dyn Listener>>>,
    place: Option<NodeRef>,
    key: Option<Key>,
    value: Option<AttrValue>,
    checked: Option<bool>,
}

impl Tree {
    /// The value of the next attribute of [`Tree::open`]'s list.
    pub fn value(&mut self, value: impl Value) {
        self.push_value(value.attribute().map(AttributeOrProperty::Attribute));
    }

    /// The same, as a property of the element.
    pub fn property(&mut self, value: String) {
        self.push_value(Some(AttributeOrProperty::Property(JsValue::from(value))));
    }

    #[inline(never)]
    fn push_value(&mut self, value: Option<AttributeOrProperty>) {
        self.head.values.push(value);
    }

    #[inline(never)]
    pub fn listen(&mut self, listener: Rc<dyn Listener>) {
        self.head.listeners.push(Some(listener));
    }

    pub fn key(&mut self, key: impl Into<Key>) {
        self.head.key = Some(key.into());
    }

    pub fn place(&mut self, place: &NodeRef) {
        self.head.place = Some(place.clone());
    }

    /// What an input holds; for other elements an attribute like any other.
    pub fn input_value(&mut self, value: impl Value) {
        self.head.value = value.attribute();
    }

    pub fn checked(&mut self, checked: bool) {
        self.head.checked = Some(checked);
    }

    /// Opens an element whose attributes' values were given, in this order.
    #[inline(never)]
    pub fn open(&mut self, tag: &'static str, keys: &'static [&'static str]) {
        let values = std::mem::take(&mut self.head.values).into_boxed_slice();
        self.begin(tag, Attributes::Dynamic { keys, values });
    }

    /// Opens an element whose attributes never change: comparing them costs nothing.
    #[inline(never)]
    pub fn open_fixed(&mut self, tag: &'static str, attributes: &'static [(&'static str, AttributeOrProperty)]) {
        self.begin(tag, Attributes::Static(attributes));
    }

    fn begin(&mut self, tag: &'static str, attributes: Attributes) {
        let head = std::mem::take(&mut self.head);
        let mut element = VTag::new(tag);
        element.attributes = attributes;
        element.key = head.key;
        if let Some(place) = head.place {
            element.node_ref = place;
        }
        if !head.listeners.is_empty() {
            element.set_listeners(head.listeners.into_boxed_slice());
        }
        if let Some(checked) = head.checked {
            element.set_checked(checked);
        }
        match head.value {
            Some(value) if tag == "input" || tag == "textarea" => element.set_value(value),
            Some(value) => element.add_attribute("value", value),
            None => {}
        }
        self.nest(Some(element));
    }

    /// Opens a group: nodes that take one place among their siblings.
    pub fn group(&mut self) {
        self.nest(None);
    }

    #[inline(never)]
    fn nest(&mut self, element: Option<VTag>) {
        self.above.push((element, std::mem::take(&mut self.here)));
    }

    /// Closes what was opened last.
    #[inline(never)]
    pub fn close(&mut self) {
        let Some((element, siblings)) = self.above.pop() else { return };
        let inside = std::mem::replace(&mut self.here, siblings);
        let node = match element {
            None => VNode::from(VList::from(inside)),
            Some(mut element) => {
                if !inside.is_empty()
                    && let Some(children) = element.children_mut()
                {
                    *children = VNode::from(VList::from(inside));
                }
                VNode::from(element)
            }
        };
        self.here.push(node);
    }

    #[inline(never)]
    pub fn push(&mut self, node: VNode) {
        self.here.push(node);
    }

    pub fn word(&mut self, text: &'static str) {
        self.push(VText::new(text).into());
    }

    pub fn child(&mut self, child: impl Child) {
        self.push(child.node());
    }

    /// Many children in one place.
    pub fn all<C: Child>(&mut self, children: impl IntoIterator<Item = C>) {
        let nodes: Vec<VNode> = children.into_iter().map(C::node).collect();
        self.push(VNode::from(VList::from(nodes)));
    }

    /// The node that was built; of several, their list.
    #[inline(never)]
    pub fn done(mut self) -> Html {
        match self.here.len() {
            1 => self.here.pop().unwrap_or_default(),
            _ => VNode::from(VList::from(self.here)),
        }
    }
}

/// A component with its properties.
pub fn mount<C: BaseComponent>(properties: C::Properties, key: Option<Key>) -> Html {
    VComp::new::<C>(Rc::new(properties), key).into()
}

/// What may stand as an attribute's value; nothing leaves the attribute out.
pub trait Value {
    fn attribute(self) -> Option<AttrValue>;
}

/// What may stand as a child.
pub trait Child {
    fn node(self) -> VNode;
}

impl Child for VNode {
    fn node(self) -> VNode {
        self
    }
}

impl Value for bool {
    fn attribute(self) -> Option<AttrValue> {
        self.then_some(AttrValue::Static(""))
    }
}

impl<V: Value> Value for Option<V> {
    fn attribute(self) -> Option<AttrValue> {
        self.and_then(V::attribute)
    }
}

impl<C: Child> Child for Option<C> {
    fn node(self) -> VNode {
        self.map_or_else(VNode::default, C::node)
    }
}

/// Texts, as values and as children.
macro_rules! texts {
    ($($type:ty: $this:ident => $text:expr;)*) => {$(
        impl Value for $type {
            fn attribute(self) -> Option<AttrValue> {
                let $this = self;
                Some($text)
            }
        }
        impl Child for $type {
            fn node(self) -> VNode {
                let $this = self;
                text_node($text)
            }
        }
    )*};
}

texts! {
    AttrValue: text => text;
    &AttrValue: text => text.clone();
    String: text => AttrValue::from(text);
    &String: text => AttrValue::from(text.clone());
    &str: text => AttrValue::from(text.to_owned());
    Classes: classes => AttrValue::from(classes.0);
    i32: number => AttrValue::from(number.to_string());
    i64: number => AttrValue::from(number.to_string());
    u64: number => AttrValue::from(number.to_string());
    usize: number => AttrValue::from(number.to_string());
}

#[inline(never)]
fn text_node(text: AttrValue) -> VNode {
    VText::new(text).into()
}

/// Names of classes, with spaces between.
#[derive(Default)]
pub struct Classes(String);

impl Classes {
    pub fn add<'a>(&mut self, name: impl Into<Option<&'a str>>) {
        self.add_some(name.into().unwrap_or(""));
    }

    #[inline(never)]
    fn add_some(&mut self, name: &str) {
        if !name.is_empty() && !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(name);
    }
}

/// Names of classes, some of them only sometimes: `classes!("card", down.then_some("down"))`.
macro_rules! classes {
    ($($name:expr),* $(,)?) => {{
        let mut classes = $crate::web::tree::Classes::default();
        $(classes.add($name);)*
        classes
    }};
}
pub(crate) use classes;

macro_rules! html {
    ($($text:tt)*) => {{
        let mut tree = $crate::web::tree::Tree::default();
        $crate::web::tree::grow!(tree; $($text)*);
        tree.done()
    }};
}
pub(crate) use html;

/// The parser of [`html`]: takes one thing off the front and goes on with the rest.
macro_rules! grow {
    ($tree:ident;) => {};

    // Groups and closing tags.
    ($tree:ident; <> $($rest:tt)*) => { $tree.group(); $crate::web::tree::grow!($tree; $($rest)*); };
    ($tree:ident; </> $($rest:tt)*) => { $tree.close(); $crate::web::tree::grow!($tree; $($rest)*); };
    ($tree:ident; </ $tag:ident> $($rest:tt)*) => { $tree.close(); $crate::web::tree::grow!($tree; $($rest)*); };

    // Elements: first the attributes, collected as (name; kind value).
    ($tree:ident; <Button $($rest:tt)*) => {
        let mut button = $crate::web::parts::Button::default();
        $crate::web::tree::grow!(@button $tree button; $($rest)*);
    };
    ($tree:ident; <$tag:ident $($rest:tt)*) => { $crate::web::tree::grow!(@head $tree $tag []; $($rest)*); };

    // What is in braces.
    ($tree:ident; { for $($many:tt)+ } $($rest:tt)*) => { $tree.all($($many)+); $crate::web::tree::grow!($tree; $($rest)*); };
    ($tree:ident; { $word:literal } $($rest:tt)*) => { $tree.word($word); $crate::web::tree::grow!($tree; $($rest)*); };
    ($tree:ident; { $($one:tt)+ } $($rest:tt)*) => { $tree.child({ $($one)+ }); $crate::web::tree::grow!($tree; $($rest)*); };

    // Conditions: the tokens before the braces, then perhaps an else.
    ($tree:ident; if $($rest:tt)*) => { $crate::web::tree::grow!(@if $tree [] []; $($rest)*); };
    (@if $tree:ident [$($arms:tt)*] [$($condition:tt)+]; { $($body:tt)* } else if $($rest:tt)*) => {
        $crate::web::tree::grow!(@if $tree [$($arms)* ([$($condition)+] [$($body)*])] []; $($rest)*);
    };
    (@if $tree:ident [$($arms:tt)*] [$($condition:tt)+]; { $($body:tt)* } else { $($other:tt)* } $($rest:tt)*) => {
        $crate::web::tree::grow!(@choose $tree [$($arms)* ([$($condition)+] [$($body)*])] [$($other)*]);
        $crate::web::tree::grow!($tree; $($rest)*);
    };
    (@if $tree:ident [$($arms:tt)*] [$($condition:tt)+]; { $($body:tt)* } $($rest:tt)*) => {
        $crate::web::tree::grow!(@choose $tree [$($arms)* ([$($condition)+] [$($body)*])] []);
        $crate::web::tree::grow!($tree; $($rest)*);
    };
    (@if $tree:ident $arms:tt [$($condition:tt)*]; $next:tt $($rest:tt)*) => {
        $crate::web::tree::grow!(@if $tree $arms [$($condition)* $next]; $($rest)*);
    };
    (@choose $tree:ident [([$($first:tt)+] [$($body:tt)*]) $(([$($next:tt)+] [$($instead:tt)*]))*] [$($other:tt)*]) => {
        $tree.group();
        if $($first)+ { $crate::web::tree::grow!($tree; $($body)*); }
        $(else if $($next)+ { $crate::web::tree::grow!($tree; $($instead)*); })*
        else { $crate::web::tree::grow!($tree; $($other)*); }
        $tree.close();
    };

    // The end of a head.
    (@head $tree:ident $tag:ident $values:tt; /> $($rest:tt)*) => {
        $crate::web::tree::grow!(@open $tree $tag $values);
        $tree.close();
        $crate::web::tree::grow!($tree; $($rest)*);
    };
    (@head $tree:ident $tag:ident $values:tt; > $($rest:tt)*) => {
        $crate::web::tree::grow!(@open $tree $tag $values);
        $crate::web::tree::grow!($tree; $($rest)*);
    };
    // `name={name}` may be written `{name}`.
    (@head $tree:ident $tag:ident $values:tt; { $name:ident } $($rest:tt)*) => {
        $crate::web::tree::grow!(@head $tree $tag $values; $name={$name} $($rest)*);
    };
    (@head $tree:ident $tag:ident $values:tt; key={$key:expr} $($rest:tt)*) => {
        $tree.key($key);
        $crate::web::tree::grow!(@head $tree $tag $values; $($rest)*);
    };
    (@head $tree:ident $tag:ident $values:tt; ref={$place:expr} $($rest:tt)*) => {
        $tree.place(&$place);
        $crate::web::tree::grow!(@head $tree $tag $values; $($rest)*);
    };
    (@head $tree:ident $tag:ident $values:tt; value={$value:expr} $($rest:tt)*) => {
        $tree.input_value($value);
        $crate::web::tree::grow!(@head $tree $tag $values; $($rest)*);
    };
    (@head $tree:ident $tag:ident $values:tt; checked={$checked:expr} $($rest:tt)*) => {
        $tree.checked($checked);
        $crate::web::tree::grow!(@head $tree $tag $values; $($rest)*);
    };
    (@head $tree:ident $tag:ident $values:tt; onclick={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen onclick $on; $tree $tag $values; $($rest)*); };
    (@head $tree:ident $tag:ident $values:tt; oninput={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen oninput $on; $tree $tag $values; $($rest)*); };
    (@head $tree:ident $tag:ident $values:tt; onchange={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen onchange $on; $tree $tag $values; $($rest)*); };
    (@head $tree:ident $tag:ident $values:tt; onkeydown={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen onkeydown $on; $tree $tag $values; $($rest)*); };
    (@head $tree:ident $tag:ident $values:tt; oncancel={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen oncancel $on; $tree $tag $values; $($rest)*); };
    (@head $tree:ident $tag:ident $values:tt; onsubmit={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen onsubmit $on; $tree $tag $values; $($rest)*); };
    (@head $tree:ident $tag:ident $values:tt; ondrop={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen ondrop $on; $tree $tag $values; $($rest)*); };
    (@head $tree:ident $tag:ident $values:tt; ondragover={$on:expr} $($rest:tt)*) => { $crate::web::tree::grow!(@listen ondragover $on; $tree $tag $values; $($rest)*); };
    (@listen $kind:ident $on:expr; $tree:ident $tag:ident $values:tt; $($rest:tt)*) => {
        $tree.listen(std::rc::Rc::new(yew::html::$kind::Wrapper::new(yew::Callback::from($on))));
        $crate::web::tree::grow!(@head $tree $tag $values; $($rest)*);
    };
    (@head $tree:ident $tag:ident [$($values:tt)*]; ~$name:ident={$value:expr} $($rest:tt)*) => {
        $crate::web::tree::grow!(@head $tree $tag [$($values)* (stringify!($name); property $value)]; $($rest)*);
    };
    (@head $tree:ident $tag:ident [$($values:tt)*]; $name:ident=$word:literal $($rest:tt)*) => {
        $crate::web::tree::grow!(@head $tree $tag [$($values)* (stringify!($name); fixed $word)]; $($rest)*);
    };
    (@head $tree:ident $tag:ident [$($values:tt)*]; $first:ident-$second:ident=$word:literal $($rest:tt)*) => {
        $crate::web::tree::grow!(@head $tree $tag [$($values)* (concat!(stringify!($first), "-", stringify!($second)); fixed $word)]; $($rest)*);
    };
    (@head $tree:ident $tag:ident [$($values:tt)*]; $name:ident={$value:expr} $($rest:tt)*) => {
        $crate::web::tree::grow!(@head $tree $tag [$($values)* (stringify!($name); value $value)]; $($rest)*);
    };
    (@head $tree:ident $tag:ident [$($values:tt)*]; $first:ident-$second:ident={$value:expr} $($rest:tt)*) => {
        $crate::web::tree::grow!(@head $tree $tag [$($values)* (concat!(stringify!($first), "-", stringify!($second)); value $value)]; $($rest)*);
    };

    (@open $tree:ident $tag:ident [$(($name:expr; fixed $word:literal))*]) => {
        $tree.open_fixed(stringify!($tag), &[$(($name, yew::virtual_dom::AttributeOrProperty::Static($word))),*]);
    };
    (@open $tree:ident $tag:ident [$(($name:expr; $kind:ident $value:expr))*]) => {
        $($crate::web::tree::grow!(@value $tree $kind $value);)*
        $tree.open(stringify!($tag), &[$($name),*]);
    };
    (@value $tree:ident fixed $word:expr) => { $tree.value(yew::AttrValue::Static($word)) };
    (@value $tree:ident value $value:expr) => { $tree.value($value) };
    (@value $tree:ident property $value:expr) => { $tree.property($value) };

    // A button's properties, each set by the function of its name.
    (@button $tree:ident $button:ident; /> $($rest:tt)*) => { $tree.push($button.node()); $crate::web::tree::grow!($tree; $($rest)*); };
    (@button $tree:ident $button:ident; { $name:ident } $($rest:tt)*) => {
        $button.$name($name);
        $crate::web::tree::grow!(@button $tree $button; $($rest)*);
    };
    (@button $tree:ident $button:ident; $name:ident={$value:expr} $($rest:tt)*) => {
        $button.$name($value);
        $crate::web::tree::grow!(@button $tree $button; $($rest)*);
    };
    (@button $tree:ident $button:ident; $name:ident=$word:literal $($rest:tt)*) => {
        $button.$name($word);
        $crate::web::tree::grow!(@button $tree $button; $($rest)*);
    };
}
pub(crate) use grow;
